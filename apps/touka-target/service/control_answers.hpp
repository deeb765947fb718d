#pragma once

#include <functional>
#include <string>

#include "target_service.hpp"

namespace touka::target {

/// Answers one line of the control socket: {"command":"ls"} or {"command":"reload"}.
/// @return {"ok":true,...} or {"ok":false,"error":"..."}; never throws for what it is given.
[[nodiscard]] std::string answer_control(const std::string& line, const std::function<TargetService::Report()>& report,
                                         const std::function<std::expected<void, std::string>()>& reload);

} // namespace touka::target
