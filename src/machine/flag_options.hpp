// How the flags of devices are written: FIRST[,KEY[=VALUE]]...
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace touka::machine {

/// Splits at single commas; two commas stand for one.
[[nodiscard]] std::vector<std::string> split_flag(std::string_view text);

struct FlagOption {
    std::string_view key;
    std::string_view value;
    bool has_value;
};
/// @return views into `text`.
[[nodiscard]] FlagOption split_option(std::string_view text);

/// What to say of an option that nobody knows.
[[nodiscard]] std::unexpected<std::string> unknown_option(std::string_view flag, std::string_view option,
                                                          std::span<const std::string_view> known);

} // namespace touka::machine
