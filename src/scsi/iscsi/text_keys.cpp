#include "scsi/iscsi/text_keys.hpp"

#include <algorithm>
#include <charconv>

#include "spec/scsi/iscsi_login.hpp"

namespace touka::scsi::iscsi {

namespace {

bool is_key(std::string_view key) {
    return !key.empty() && key.size() <= spec::iscsi::kKeyNameLimitBytes && std::ranges::all_of(key, [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
               c == '+' || c == '@' || c == '_' || c == '#' || c == '/' || c == ':';
    });
}

/// Where a character is in a range, counted from `base` on.
std::optional<unsigned> digit_in(char c, char first, char last, unsigned base) {
    if (c < first || c > last) return std::nullopt;
    return static_cast<unsigned>(c - first) + base;
}

std::optional<unsigned> base64_digit(char c) {
    if (const auto digit = digit_in(c, 'A', 'Z', 0)) return digit;
    if (const auto digit = digit_in(c, 'a', 'z', 26)) return digit;
    if (const auto digit = digit_in(c, '0', '9', 52)) return digit;
    if (c == '+') return 62;
    if (c == '/') return 63;
    return std::nullopt;
}

std::optional<unsigned> hex_digit(char c) {
    if (const auto digit = digit_in(c, '0', '9', 0)) return digit;
    if (const auto digit = digit_in(c, 'a', 'f', 10)) return digit;
    return digit_in(c, 'A', 'F', 10);
}

std::optional<std::vector<std::uint8_t>> parse_hexadecimal(std::string_view digits, std::size_t limit_bytes) {
    std::vector<std::uint8_t> bytes((digits.size() + 1) / 2);
    if (digits.empty() || bytes.size() > limit_bytes) return std::nullopt;
    std::size_t half = digits.size() % 2; // an odd count of digits has a leading zero left out
    for (const char c : digits) {
        const auto digit = hex_digit(c);
        if (!digit) return std::nullopt;
        bytes[half / 2] = static_cast<std::uint8_t>(unsigned{bytes[half / 2]} << 4 | *digit);
        ++half;
    }
    return bytes;
}

std::optional<std::vector<std::uint8_t>> parse_base64(std::string_view digits, std::size_t limit_bytes) {
    if (digits.empty() || digits.size() % 4 != 0 || digits.size() / 4 * 3 > limit_bytes + 2) return std::nullopt;
    while (digits.ends_with('=') && digits.size() % 4 != 2) digits.remove_suffix(1);
    std::vector<std::uint8_t> bytes;
    std::uint32_t bits = 0;
    unsigned count = 0;
    for (const char c : digits) {
        const auto digit = base64_digit(c);
        if (!digit) return std::nullopt;
        bits = bits << 6 | *digit;
        count += 6;
        if (count < 8) continue;
        count -= 8;
        bytes.push_back(static_cast<std::uint8_t>(bits >> count));
    }
    if (bytes.size() > limit_bytes) return std::nullopt;
    return bytes;
}

} // namespace

std::expected<std::vector<KeyValue>, TextError> parse_text(std::string_view text) {
    std::vector<KeyValue> pairs;
    while (!text.empty()) {
        const std::string_view pair = text.substr(0, text.find('\0'));
        text.remove_prefix(std::min(text.size(), pair.size() + 1));
        if (pair.empty()) continue;
        const std::size_t equals = pair.find('=');
        if (equals == std::string_view::npos) return std::unexpected(TextError::kNoEqualsSign);
        if (!is_key(pair.substr(0, equals))) return std::unexpected(TextError::kBadKey);
        if (pairs.size() == kKeysLimit) return std::unexpected(TextError::kTooManyKeys);
        pairs.push_back({pair.substr(0, equals), pair.substr(equals + 1)});
    }
    return pairs;
}

void add_pair(std::string& text, std::string_view key, std::string_view value) {
    text.append(key).append(1, '=').append(value).append(1, '\0');
}

std::optional<std::uint32_t> parse_number(std::string_view value) {
    int base = 10;
    if (value.starts_with("0x") || value.starts_with("0X")) {
        value.remove_prefix(2);
        base = 16;
    }
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number, base);
    if (error != std::errc{} || end != value.data() + value.size()) return std::nullopt;
    return number;
}

std::optional<bool> parse_boolean(std::string_view value) {
    if (value == "Yes") return true;
    if (value == "No") return false;
    return std::nullopt;
}

std::vector<std::string_view> parse_list(std::string_view value) {
    std::vector<std::string_view> members;
    for (;;) {
        const std::size_t comma = value.find(',');
        members.push_back(value.substr(0, comma));
        if (comma == std::string_view::npos) return members;
        value.remove_prefix(comma + 1);
    }
}

std::optional<std::vector<std::uint8_t>> parse_binary(std::string_view value, std::size_t limit_bytes) {
    if (value.size() < 2 || value[0] != '0') return std::nullopt;
    const std::string_view digits = value.substr(2);
    switch (value[1]) {
        case 'x':
        case 'X': return parse_hexadecimal(digits, limit_bytes);
        case 'b':
        case 'B': return parse_base64(digits, limit_bytes);
        default: return std::nullopt;
    }
}

std::string hexadecimal(std::span<const std::uint8_t> bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text = "0x";
    for (const std::uint8_t byte : bytes) text.append(1, kDigits[byte >> 4]).append(1, kDigits[byte & 15]);
    return text;
}

bool is_iscsi_name(std::string_view name) {
    if (name.empty() || name.size() > spec::iscsi::kNameLimitBytes) return false;
    // Names may be UTF-8; what must not be in them are controls, blanks and what separates TransportIDs.
    return std::ranges::none_of(name, [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte <= ' ' || byte == 0x7F || c == ',' || c == '/' || c == '"';
    });
}

std::string OutgoingText::take(std::size_t limit_bytes) {
    std::string piece = text_.substr(next_, limit_bytes);
    next_ += piece.size();
    if (!more()) {
        text_.clear();
        next_ = 0;
    }
    return piece;
}

} // namespace touka::scsi::iscsi
