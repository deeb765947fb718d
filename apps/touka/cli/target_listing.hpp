#pragma once

#include <expected>
#include <ostream>
#include <string>

#include "command_line.hpp"
#include "exit_status.hpp"
#include "messages.hpp"

namespace touka::cli {

/// The answer to an action for a person; that to "ls" as tables: targets with their LUNs, units, sessions.
/// @return an answer that is not one, or one that says what was wrong, is an error.
[[nodiscard]] std::expected<std::string, std::string> format_target_answer(const std::string& action,
                                                                           const std::string& answer);

/// Does what `touka target` asks for. @param output where tables go.
[[nodiscard]] ExitStatus run_target(const TargetCommand& command, std::ostream& output, Messages& messages);

} // namespace touka::cli
