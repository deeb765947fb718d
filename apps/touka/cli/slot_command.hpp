#pragma once

#include <expected>
#include <ostream>
#include <string>

#include "command_line.hpp"
#include "exit_status.hpp"
#include "messages.hpp"

namespace touka::cli {

/// The question that a command asks of a running machine, a line of JSON; paths in it are whole.
/// @return what is wrong with the command's words.
[[nodiscard]] std::expected<std::string, std::string> slot_question(const SlotCommand& command);

/// The answer for a person; that to "ls" as a table of slots.
/// @return an answer that is not one, one that says what was wrong, and a card that is still in are errors.
[[nodiscard]] std::expected<std::string, std::string> format_slot_answer(const SlotCommand& command,
                                                                         const std::string& answer);

/// Does what `touka slot` asks for. @param output where the table goes.
[[nodiscard]] ExitStatus run_slot(const SlotCommand& command, std::ostream& output, Messages& messages);

} // namespace touka::cli
