#pragma once

#include <expected>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <string>
#include <string_view>

#include "exit_status.hpp"
#include "messages.hpp"

namespace touka::cli {

/// The text for the user, or what is wrong.
using AnswerText = std::expected<std::string, std::string>;

/// Reads what a running program answered on its control socket.  @param program for messages.
/// @param format of an answer that says "ok"; what it finds missing there (json::exception) makes it a wrong answer.
[[nodiscard]] AnswerText read_answer(std::string_view program, const std::string& answer,
                                     const std::function<AnswerText(const nlohmann::json&)>& format);
[[nodiscard]] ExitStatus print_answer(const AnswerText& text, std::ostream& output, Messages& messages);

} // namespace touka::cli
