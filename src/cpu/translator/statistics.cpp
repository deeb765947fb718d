#include "cpu/translator/statistics.hpp"

#include <fmt/format.h>

namespace touka::cpu::translator {

std::string Statistics::text() const {
    constexpr std::array kNames{"lookup", "interpret", "request", "link", "crossing"};
    std::string lines = fmt::format(
        "blocks {} of {} guest bytes, {} host bytes, {} links; {:.3f} s spent translating\n"
        "dropped: {} pages written, {} times all; {} blocks made again without groups\n"
        "lookaside: {} fills, {} whole flushes; jump cache: {} misses; host faults: {}\n"
        "interpreted instructions: {}; exits:",
        cache.blocks, cache.guest_bytes, cache.host_bytes, cache.links, static_cast<double>(cache.translating_ns) / 1e9,
        cache.dropped_pages, cache.dropped_all, cache.ungrouped, lookaside_fills, lookaside_flushes, jump_cache_misses,
        host_faults, interpreted);
    for (std::size_t n = 0; n < exits.size(); ++n) lines += fmt::format(" {} {}", kNames[n], exits[n]);
    return lines + "\n";
}

} // namespace touka::cpu::translator
