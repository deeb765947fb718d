// Single values of a configuration as people write them, in files and in flags alike.
// Each function gives the value or a sentence that says what is wrong with the text.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>

namespace touka::configuration {

template <class T>
using ValueOr = std::expected<T, std::string>;

/// "512M", "2G", "1.5GiB": K, M, G and T are powers of 1024. A number without a unit is refused: it would be bytes
/// to some and MiB to others.
[[nodiscard]] ValueOr<std::uint64_t> parse_size(std::string_view text);
/// A whole number in decimal.
[[nodiscard]] ValueOr<std::uint64_t> parse_number(std::string_view text);
/// "500ms", "2s", "1m" in milliseconds; a number without a unit is refused.
[[nodiscard]] ValueOr<std::uint64_t> parse_duration_ms(std::string_view text);

/// The candidate that the word was probably meant to be; empty when none is near.
[[nodiscard]] std::string_view closest_match(std::string_view word, std::span<const std::string_view> candidates);

} // namespace touka::configuration
