#include "cpu/translator/statistics.hpp"

#include <Zydis/Zydis.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace touka::cpu::translator {

namespace {

/// Those that a translation of would pay for most. Mnemonic 0 stands for bytes that are no instruction of one page.
std::string most_interpreted(const std::vector<std::uint64_t>& by_mnemonic) {
    constexpr std::size_t kShown = 24;
    std::vector<std::size_t> order(by_mnemonic.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::sort(order, std::greater{}, [&](std::size_t n) { return by_mnemonic[n]; });
    std::string line = "interpreted most:";
    for (std::size_t n = 0; n < std::min(kShown, order.size()) && by_mnemonic[order[n]] != 0; ++n) {
        const char* name = order[n] == 0 ? "(none)" : ZydisMnemonicGetString(static_cast<ZydisMnemonic>(order[n]));
        line += fmt::format(" {} {}", name, by_mnemonic[order[n]]);
    }
    return line + "\n";
}

} // namespace

std::string Statistics::text() const {
    constexpr std::array kNames{"lookup", "interpret", "request", "link", "done", "far link", "x87"};
    std::string lines =
        fmt::format("blocks {} of {} guest bytes, {} host bytes, {} links; {:.3f} s spent translating\n"
                    "dropped: {} pages written, {} times all\n"
                    "lookaside: {} fills, {} whole flushes; jump cache: {} misses; host faults: {}\n"
                    "interpreted instructions: {}; exits:",
                    cache.blocks, cache.guest_bytes, cache.host_bytes, cache.links,
                    static_cast<double>(cache.translating_ns) / 1e9, cache.dropped_pages, cache.dropped_all,
                    lookaside_fills, lookaside_flushes, jump_cache_misses, host_faults, interpreted);
    for (std::size_t n = 0; n < exits.size(); ++n) lines += fmt::format(" {} {}", kNames[n], exits[n]);
    lines += "\nunfinished:";
    constexpr std::array kWhy{"jump miss", "refused access", "crossing access", "host fault", "vectors off"};
    for (std::size_t n = 0; n < unfinished.size(); ++n) lines += fmt::format(" {} {}", kWhy[n], unfinished[n]);
    return lines + "\n" + most_interpreted(untranslated);
}

} // namespace touka::cpu::translator
