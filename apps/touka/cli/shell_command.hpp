#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>

namespace touka::cli {

/// Runs a command by /bin/sh and waits for its end.
/// @param input what it finds on its standard input; standard error is ours.
/// @return what it printed; or that it could not be started, failed, or printed more than `limit_bytes`.
[[nodiscard]] std::expected<std::string, std::string> run_by_shell(const std::string& command, std::string_view input,
                                                                   std::size_t limit_bytes);

} // namespace touka::cli
