// What a translating vCPU did, for people who want to know where time goes.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "cpu/translator/translation_cache.hpp"

namespace touka::cpu::translator {

struct Statistics {
    CacheCounters cache;
    std::uint64_t lookaside_fills = 0;
    std::uint64_t lookaside_flushes = 0;
    std::array<std::uint64_t, 5> exits{}; ///< by ExitReason
    std::uint64_t host_faults = 0;        ///< SIGSEGV and SIGFPE of translated code
    std::uint64_t interpreted = 0;        ///< instructions
    std::uint64_t jump_cache_misses = 0;

    [[nodiscard]] std::string text() const;
};

} // namespace touka::cpu::translator
