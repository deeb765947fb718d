#include "scsi/verify/command_sender.hpp"

#include "scsi/verify/sense_fields.hpp"

namespace touka::scsi::verify {

std::vector<std::vector<std::uint8_t>> drain_unit_attentions(CommandSender& sender) {
    const Command test_unit_ready{.name = "TEST UNIT READY", .cdb = std::vector<std::uint8_t>(6)};
    std::vector<std::vector<std::uint8_t>> attentions;
    while (attentions.size() < Recording::kAttentionLimit) {
        Response response = record(test_unit_ready, sender.send(test_unit_ready));
        if (!is_unit_attention(response)) break;
        attentions.push_back(std::move(response.sense));
    }
    return attentions;
}

Recording run_corpus(const Corpus& corpus, CommandSender& sender) {
    Recording recording{.tells_overflow = sender.tells_overflow(), .attentions = drain_unit_attentions(sender)};
    for (const Command& command : corpus.commands) {
        recording.responses.push_back(record(command, sender.send(command)));
    }
    return recording;
}

} // namespace touka::scsi::verify
