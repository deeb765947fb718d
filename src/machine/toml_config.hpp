// A machine's configuration as a TOML file; docs/configuration.md describes the keys.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "configuration/config_error.hpp"
#include "machine/config.hpp"

namespace touka::machine {

using configuration::ConfigError;

/// Reads a configuration. Unknown keys, wrong types and impossible values are errors with their place.
/// Relative paths of kernel, initrd and disks are taken from the file's folder.
/// @param file what messages call it, and where relative paths start; need not exist.
/// The result still has to pass validate(): what is missing here may come from flags.
[[nodiscard]] std::expected<MachineConfig, ConfigError> parse_toml(std::string_view text, const std::string& file);

/// The same from a file of the host.
[[nodiscard]] std::expected<MachineConfig, ConfigError> load_toml(const std::string& path);

} // namespace touka::machine
