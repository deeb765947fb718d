#pragma once

#include <toml++/toml.h>

#include <expected>
#include <string>
#include <string_view>

#include "configuration/config_error.hpp"

namespace touka::configuration {

/// @param file what messages call it; need not exist.
[[nodiscard]] std::expected<toml::table, ConfigError> parse_toml_text(std::string_view text, const std::string& file);
/// The same from a file of the host, of a MiB at most.
[[nodiscard]] std::expected<toml::table, ConfigError> load_toml_file(const std::string& path);

} // namespace touka::configuration
