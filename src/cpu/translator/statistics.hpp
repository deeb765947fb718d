// What a translating vCPU did, for people who want to know where time goes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "cpu/translator/translation_cache.hpp"

namespace touka::cpu::translator {

struct Statistics {
    CacheCounters cache;
    std::uint64_t lookaside_fills = 0;
    std::uint64_t lookaside_flushes = 0;
    std::array<std::uint64_t, 7> exits{};    ///< by ExitReason
    std::uint64_t host_faults = 0;           ///< SIGSEGV and SIGFPE of translated code
    std::uint64_t interpreted = 0;           ///< instructions
    std::vector<std::uint64_t> untranslated; ///< of these, the ones that are never translated, by ZydisMnemonic
    /// The others, by Unfinished.
    std::array<std::uint64_t, std::to_underlying(Unfinished::kEnd) - std::to_underlying(Unfinished::kJumpMiss)>
        unfinished{};
    std::uint64_t jump_cache_misses = 0;

    /// @param why Frame::exit_data of ExitReason::kInterpret.
    void count_interpreted(std::uint32_t why) {
        ++interpreted;
        if (why >= std::to_underlying(Unfinished::kJumpMiss)) {
            ++unfinished[why - std::to_underlying(Unfinished::kJumpMiss)];
            return;
        }
        const std::uint32_t mnemonic = why;
        if (mnemonic >= untranslated.size()) untranslated.resize(mnemonic + 1);
        ++untranslated[mnemonic];
    }
    [[nodiscard]] std::string text() const;
};

} // namespace touka::cpu::translator
