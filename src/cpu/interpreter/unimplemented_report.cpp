#include "cpu/interpreter/unimplemented_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace touka::cpu::interpreter {

std::string UnimplementedReport::text() const {
    std::vector<std::pair<std::uint64_t, std::string>> lines;
    lines.reserve(counts_.size());
    for (const auto& [mnemonic, count] : counts_) lines.emplace_back(count, ZydisMnemonicGetString(mnemonic));
    std::ranges::sort(lines, [](const auto& a, const auto& b) {
        return a.first != b.first ? a.first > b.first : a.second < b.second;
    });
    std::string text;
    for (const auto& [count, name] : lines) text += fmt::format("{} {}\n", name, count);
    return text;
}

} // namespace touka::cpu::interpreter
