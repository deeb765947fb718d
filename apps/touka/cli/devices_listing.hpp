#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "devices/passthrough/vfio/host_functions.hpp"
#include "exit_status.hpp"
#include "messages.hpp"

namespace touka::cli {

/// A line for each function, and below it what stands in the way of giving it to a machine. In the end what limits the
/// memory of machines that have one, if there is one to give.
[[nodiscard]] std::string format_devices(const std::vector<devices::vfio::HostFunction>& functions);

/// `touka devices`: prints the host's functions. Nothing to pass is no failure.
[[nodiscard]] ExitStatus list_devices(std::ostream& out, Messages& messages);

} // namespace touka::cli
