#pragma once

#include <string>
#include <string_view>

#include "devices/passthrough/passthrough_function.hpp"

namespace touka::machine {

/// One line for --stats: how much of a passed-through function's work went through this process, and how much is able
/// to go past it.
[[nodiscard]] std::string describe(std::string_view name, const devices::passthrough::PassthroughCounts& counts);

} // namespace touka::machine
