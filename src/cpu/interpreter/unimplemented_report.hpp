// Which instructions a guest wanted and got #UD for, because nobody has built them here.
#pragma once

#include <Zydis/Zydis.h>

#include <cstdint>
#include <string>
#include <unordered_map>

namespace touka::cpu::interpreter {

/// Counts executions by mnemonic. Instructions that are undefined on hardware are not in it.
/// @thread its vCPU's.
class UnimplementedReport {
public:
    void count(ZydisMnemonic mnemonic) { ++counts_[mnemonic]; }
    [[nodiscard]] std::uint64_t count_of(ZydisMnemonic mnemonic) const {
        const auto found = counts_.find(mnemonic);
        return found == counts_.end() ? 0 : found->second;
    }
    [[nodiscard]] bool empty() const { return counts_.empty(); }
    /// One line for each mnemonic, the most wanted first: "vaddpd 12".
    [[nodiscard]] std::string text() const;

private:
    std::unordered_map<ZydisMnemonic, std::uint64_t> counts_;
};

} // namespace touka::cpu::interpreter
