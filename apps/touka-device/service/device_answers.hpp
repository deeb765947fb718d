#pragma once

#include <string>

#include "device_service.hpp"

namespace touka::device {

/// Answers one line of the control socket, of which nothing is trusted:
/// {"command": "ls"},
/// {"command": "take-away", "device": "fast", "function": 1} or
/// {"command": "hand-over", "device": "fast", "function": 1, "socket": "/run/b.sock"}.
/// @return a line of JSON without its end: {"ok": true} with what was asked, or {"ok": false, "error": "..."}.
[[nodiscard]] std::string answer_control(const std::string& line, DeviceService& service);

} // namespace touka::device
