#pragma once

#include "scsi/verify/recording.hpp"

namespace touka::scsi::verify {

/// A way to a logical unit.
class CommandSender {
public:
    virtual ~CommandSender() = default;
    /// Sends one command and waits for its end.
    [[nodiscard]] virtual RawResponse send(const Command& command) = 0;
    /// Whether residuals of send are negative when there was more than the buffer holds.
    [[nodiscard]] virtual bool tells_overflow() const = 0;
};

/// Takes the unit attentions that wait for this initiator, as the sense data of TEST UNIT READY.
/// @return up to Recording::kAttentionLimit.
[[nodiscard]] std::vector<std::vector<std::uint8_t>> drain_unit_attentions(CommandSender& sender);

/// Drains unit attentions, then sends all commands, one after the other.
[[nodiscard]] Recording run_corpus(const Corpus& corpus, CommandSender& sender);

} // namespace touka::scsi::verify
