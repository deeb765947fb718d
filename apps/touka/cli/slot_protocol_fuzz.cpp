// Any line on a machine's control socket: it is a question or refused, and a card that is taken is written as it is
// read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "machine/card_flags.hpp"
#include "slot_protocol.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace touka;
    const auto question = cli::parse_control_question({reinterpret_cast<const char*>(data), size});
    if (!question) {
        if (cli::control_failure(question.error()).find('\n') != std::string::npos) std::abort();
        return 0;
    }
    if (question->wait_s > cli::kLongestWait_s) std::abort();
    const auto* plug = std::get_if<machine::PlugCard>(&question->question);
    if (plug == nullptr) return 0;
    const std::string text = machine::card_flag(plug->card);
    const auto again = machine::parse_card_flag(text);
    if (!again || machine::card_flag(*again) != text) std::abort();
    machine::SlotAnswer answer;
    answer.slots.emplace_back().card = plug->card;
    if (cli::format_slots(answer).find('\n') != std::string::npos) std::abort(); // an answer is one line
    return 0;
}
