#pragma once

#include <expected>
#include <string>

namespace touka::cli {

/// Asks a running touka-target for one thing.  @param request a line of JSON.
/// @return its answer, or what is wrong, for the user.
[[nodiscard]] std::expected<std::string, std::string> ask_target(const std::string& socket_path,
                                                                 const std::string& request);

/// The answer to {"command":"ls"} as tables: targets with their LUNs, units, sessions.
/// @return nothing that a person could read wrongly: an answer that is not one is an error.
[[nodiscard]] std::expected<std::string, std::string> format_target_listing(const std::string& answer);

} // namespace touka::cli
