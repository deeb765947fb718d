// Single values of a machine's configuration as people write them, in files and in flags alike.
// Each function gives the value or a sentence that says what is wrong with the text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "configuration/values.hpp"
#include "machine/config.hpp"

namespace touka::machine {

using configuration::closest_match;
using configuration::parse_duration_ms;
using configuration::parse_number;
using configuration::parse_size;
using configuration::ValueOr;

/// A size of guest RAM, rounded down to whole MiB.
[[nodiscard]] ValueOr<std::uint64_t> parse_memory_size(std::string_view text);
/// "2s" or "500ms,2s,4s": durations from the same start, each longer than the one before.
[[nodiscard]] ValueOr<std::vector<std::uint64_t>> parse_moments_ms(std::string_view text);
[[nodiscard]] ValueOr<EngineChoice> parse_engine(std::string_view text);
/// "52:54:00:12:34:56" in lower case; no multicast address, not all zeros.
[[nodiscard]] ValueOr<std::string> parse_mac(std::string_view text);

} // namespace touka::machine
