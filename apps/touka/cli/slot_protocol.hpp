// Questions about a machine's slots as lines of JSON on its control socket, and their answers.
#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "machine/slot_question.hpp"

namespace touka::cli {

struct ControlQuestion {
    machine::SlotQuestion question;
    std::uint32_t wait_s = 0; ///< how long the answer to eject and pull may wait for the end of it
};

inline constexpr std::uint32_t kUsualWait_s = 30, kLongestWait_s = 3600;

/// {"command":"ls"}, {"command":"plug","card":TEXT[,"slot":N]}, {"command":"eject"|"pull","slot":N[,"wait":SECONDS]}.
/// @return what is wrong with it, for the asker.
[[nodiscard]] std::expected<ControlQuestion, std::string> parse_control_question(const std::string& line);

[[nodiscard]] std::string control_failure(const std::string& text);
/// {"ok":true,"slots":[...]}
[[nodiscard]] std::string format_slots(const machine::SlotAnswer& answer);
/// {"ok":true,"slot":N}
[[nodiscard]] std::string format_plugged(const machine::SlotAnswer& answer);
/// {"ok":true,"slot":N,"state":"out"|"waiting"}
[[nodiscard]] std::string format_removal(std::uint16_t slot, bool out);

} // namespace touka::cli
