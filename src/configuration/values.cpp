#include "configuration/values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <limits>
#include <vector>

namespace touka::configuration {
namespace {

constexpr auto kLargest = std::numeric_limits<std::uint64_t>::max();

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The exponent of two that a unit stands for; -1: not a unit.
int unit_shift(std::string_view unit) {
    if (unit.empty()) return -1;
    constexpr std::string_view kUnits = "KMGT";
    const auto index = kUnits.find(static_cast<char>(std::toupper(static_cast<unsigned char>(unit.front()))));
    const auto rest = unit.substr(1);
    if (index == std::string_view::npos || (rest != "" && rest != "B" && rest != "b" && rest != "iB")) return -1;
    return 10 * (static_cast<int>(index) + 1);
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t substituted = diagonal + (a[i - 1] != b[j - 1] ? 1 : 0);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
        }
    }
    return row.back();
}

} // namespace

ValueOr<std::uint64_t> parse_size(std::string_view text) {
    const auto failure = [&](std::string_view what) {
        return std::unexpected(fmt::format("\"{}\" {}: write a size like 512M, 2G or 1.5G", text, what));
    };
    const auto number_end = std::ranges::find_if(text, [](char c) { return !is_digit(c) && c != '.'; });
    const std::string_view number(text.begin(), number_end), unit(number_end, text.end());
    const auto point = std::min(number.find('.'), number.size());
    const auto whole_text = number.substr(0, point);
    const auto fraction_text = point < number.size() ? number.substr(point + 1) : std::string_view("0");
    if (whole_text.empty() || fraction_text.empty() || fraction_text.size() > 9 ||
        fraction_text.find('.') != std::string_view::npos) {
        return failure("is not a size");
    }
    if (unit.empty()) return failure("has no unit");
    const int shift = unit_shift(unit);
    if (shift < 0) return failure(fmt::format("has the unknown unit \"{}\"", unit));
    const auto whole = parse_number(whole_text);
    if (!whole || *whole > kLargest >> shift) return failure("is too big");
    std::uint64_t fraction = 0, scale = 1;
    for (const char digit : fraction_text) {
        fraction = fraction * 10 + static_cast<std::uint64_t>(digit - '0');
        scale *= 10;
    }
    // fraction < 10^9 < 2^30 and shift <= 40 would overflow 64 bits by a little: the lowest bits of a tera do not
    // count.
    const int kept_shift = std::min(shift, 30);
    const std::uint64_t fraction_bytes = ((fraction << kept_shift) / scale) << (shift - kept_shift);
    const std::uint64_t whole_bytes = *whole << shift;
    if (whole_bytes > kLargest - fraction_bytes) return failure("is too big");
    return whole_bytes + fraction_bytes;
}

ValueOr<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) {
        return std::unexpected(fmt::format("\"{}\" is not a whole number", text));
    }
    return value;
}

ValueOr<std::uint64_t> parse_duration_ms(std::string_view text) {
    struct Unit {
        std::string_view name;
        std::uint64_t ms;
    };
    static constexpr std::array<Unit, 3> kUnits{{{"ms", 1}, {"s", 1000}, {"m", 60'000}}};
    const auto number_end = std::ranges::find_if_not(text, is_digit);
    const std::string_view unit_name(number_end, text.end());
    const auto unit = std::ranges::find(kUnits, unit_name, &Unit::name);
    const auto number = parse_number({text.begin(), number_end});
    if (!number || unit == kUnits.end() || *number > kLargest / unit->ms)
        return std::unexpected(fmt::format("\"{}\" is not a time: write 500ms, 2s or 1m", text));
    return *number * unit->ms;
}

std::string_view closest_match(std::string_view word, std::span<const std::string_view> candidates) {
    std::string_view best;
    std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1; // farther ones are no misspellings
    for (const auto candidate : candidates) {
        const auto distance = edit_distance(word, candidate);
        if (distance < best_distance && distance < candidate.size()) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

} // namespace touka::configuration
