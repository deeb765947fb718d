#pragma once

#include <ostream>

#include "command_line.hpp"
#include "messages.hpp"

namespace touka::cli {

/// `touka verify`: sends the corpus from outside, then lets it be sent inside, and prints what differs.
/// @param out for the table.
/// @return kPoweredOff (0) when all responses are the same, kDiffered when not.
[[nodiscard]] ExitStatus run_verify(const VerifyCommand& command, std::ostream& out, Messages& messages);

} // namespace touka::cli
