#include "fabric/port_name.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

namespace touka::fabric {

std::optional<Wwpn> parse_wwpn(std::string_view text) {
    constexpr std::size_t kDigits = 16, kWithColons = 23;
    if (text.starts_with("naa.")) text.remove_prefix(4);
    std::string digits;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool colon_place = text.size() == kWithColons && i % 3 == 2;
        if (colon_place ? text[i] != ':' : std::isxdigit(static_cast<unsigned char>(text[i])) == 0) return std::nullopt;
        if (!colon_place) digits.push_back(text[i]);
    }
    if (digits.size() != kDigits) return std::nullopt;
    Wwpn wwpn;
    std::from_chars(digits.data(), digits.data() + digits.size(), wwpn.value, 16);
    return wwpn;
}

std::string describe(Wwpn wwpn) {
    std::string text;
    for (int shift = 56; shift >= 0; shift -= 8) {
        text += fmt::format("{}{:02x}", shift == 56 ? "" : ":", wwpn.value >> shift & 0xFF);
    }
    return text;
}

std::string iscsi_name(Wwpn wwpn) { return fmt::format("naa.{:016x}", wwpn.value); }

std::string comparable_name(std::string_view initiator) {
    if (const auto wwpn = parse_wwpn(initiator)) return iscsi_name(*wwpn);
    std::string name(initiator);
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return name;
}

} // namespace touka::fabric
