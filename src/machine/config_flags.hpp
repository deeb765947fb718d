// Devices as command line flags write them: "--disk PATH,ro,serial=S", "--net user,forward=tcp::2222-:22".
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "machine/config.hpp"
#include "machine/config_values.hpp"

namespace touka::machine {

/// @param text PATH[,ro][,direct][,serial=S]; a comma in the path is written twice.
[[nodiscard]] ValueOr<DiskConfig> parse_disk_flag(std::string_view text);

/// @param text user[,forward=SPEC]...[,restricted][,mac=MAC], tap=NAME[,mac=MAC], or none.
/// @return empty for "none".
[[nodiscard]] ValueOr<std::optional<NetworkConfig>> parse_network_flag(std::string_view text);

} // namespace touka::machine
