#pragma once

#include <expected>
#include <ostream>
#include <string>

#include "command_line.hpp"
#include "exit_status.hpp"
#include "messages.hpp"

namespace touka::cli {

/// The question that a command asks of touka-device, a line of JSON.
/// @return what is wrong with the command's words.
[[nodiscard]] std::expected<std::string, std::string> device_question(const DeviceCommand& command);

/// The answer for a person; that to "ls" as a table of functions.
/// @return an answer that is not one, or one that says what was wrong, is an error.
[[nodiscard]] std::expected<std::string, std::string> format_device_answer(const std::string& action,
                                                                           const std::string& answer);

/// Does what `touka device` asks for. @param output where the table goes.
[[nodiscard]] ExitStatus run_device(const DeviceCommand& command, std::ostream& output, Messages& messages);

} // namespace touka::cli
