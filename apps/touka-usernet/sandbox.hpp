#pragma once

#include <expected>
#include <string>

namespace touka::usernet {

/// Gives up what a network does not need, for good: root, capabilities, new privileges, core dumps, and every
/// system call but those on a short list (a filter kills the process that makes another one). The process dies
/// with the thread that started it.
/// @pre ports are open and libslirp is set up.  @return nothing, or which step failed.
[[nodiscard]] std::expected<void, std::string> enter_sandbox();

} // namespace touka::usernet
