#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace touka::cli {

/// Asks a running program for one thing, on its control socket.  @param program for messages.
/// @param request a line of JSON.  @return its answer, or what is wrong, for the user.
[[nodiscard]] std::expected<std::string, std::string> ask(std::string_view program, const std::string& socket_path,
                                                          const std::string& request);

} // namespace touka::cli
