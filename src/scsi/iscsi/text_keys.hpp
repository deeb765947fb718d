// Key=value pairs of Login and Text PDUs, and the forms of their values. (RFC 7143 §6.1)
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace touka::scsi::iscsi {

struct KeyValue {
    std::string_view key;
    std::string_view value;
};

enum class TextError : std::uint8_t { kNoEqualsSign, kBadKey, kTooManyKeys };

inline constexpr std::size_t kKeysLimit = 256;         ///< of one request
inline constexpr std::size_t kTextLimitBytes = 65'536; ///< of one request, all its PDUs together

/// Splits a text at its zero bytes. Pairs refer into `text`.
[[nodiscard]] std::expected<std::vector<KeyValue>, TextError> parse_text(std::string_view text);

/// Appends "key=value" and a zero byte.
void add_pair(std::string& text, std::string_view key, std::string_view value);

/// A numerical value: decimal or hexadecimal. Nothing when it is anything else or above 32 bits.
[[nodiscard]] std::optional<std::uint32_t> parse_number(std::string_view value);
[[nodiscard]] std::optional<bool> parse_boolean(std::string_view value);
/// The members of a list of values, in order.
[[nodiscard]] std::vector<std::string_view> parse_list(std::string_view value);
/// A binary value: hexadecimal after 0x, or base64 after 0b. Nothing when malformed or above `limit_bytes`.
[[nodiscard]] std::optional<std::vector<std::uint8_t>> parse_binary(std::string_view value, std::size_t limit_bytes);
[[nodiscard]] std::string hexadecimal(std::span<const std::uint8_t> bytes);

/// Is this the form of an iSCSI name: of limited length, in the characters names have? (RFC 7143 §4.2.7.1, RFC 3722)
[[nodiscard]] bool is_iscsi_name(std::string_view name);

/// A text that goes out in as many PDUs as the receiver's MaxRecvDataSegmentLength makes it need.
class OutgoingText {
public:
    void add(std::string_view key, std::string_view value) { add_pair(text_, key, value); }
    void append(std::string_view pairs) { text_ += pairs; }
    [[nodiscard]] bool more() const { return next_ < text_.size(); }
    /// The next piece. @param more set when another one follows.
    [[nodiscard]] std::string take(std::size_t limit_bytes);

private:
    std::string text_;
    std::size_t next_ = 0;
};

} // namespace touka::scsi::iscsi
