#pragma once

#include <concepts>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "spec/scsi/byte_order.hpp"

namespace touka::scsi {

/// Builds the data that a command returns, field by field, most significant byte first.
class ParameterData {
public:
    /// Appends the low `count` bytes of `value`, 1 to 8 of them.
    ParameterData& number(std::uint64_t value, std::size_t count) {
        bytes_.resize(bytes_.size() + count);
        spec::scsi::store_number(std::span(bytes_).last(count), value);
        return *this;
    }
    /// Appends the low eight bits, also of what bits were or'ed together to.
    ParameterData& byte(std::integral auto value) { return number(static_cast<std::uint8_t>(value), 1); }
    ParameterData& zeros(std::size_t count) {
        bytes_.resize(bytes_.size() + count);
        return *this;
    }
    ParameterData& bytes(std::span<const std::uint8_t> more) {
        bytes_.insert(bytes_.end(), more.begin(), more.end());
        return *this;
    }
    /// ASCII, left-aligned and padded with spaces to `width` bytes, or cut there. (SPC-5 §4.3.1)
    ParameterData& text(std::string_view text, std::size_t width) {
        for (std::size_t i = 0; i < width; ++i) byte(static_cast<std::uint8_t>(i < text.size() ? text[i] : ' '));
        return *this;
    }
    /// Writes over a field that is there already, a length mostly.
    ParameterData& set(std::size_t at, std::uint64_t value, std::size_t count) {
        spec::scsi::store_number(std::span(bytes_).subspan(at, count), value);
        return *this;
    }
    [[nodiscard]] std::size_t size() const { return bytes_.size(); }
    [[nodiscard]] std::span<const std::uint8_t> view() const { return bytes_; }
    [[nodiscard]] std::vector<std::uint8_t> take() { return std::move(bytes_); }

private:
    std::vector<std::uint8_t> bytes_;
};

} // namespace touka::scsi
