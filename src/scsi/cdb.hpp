#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "spec/scsi/byte_order.hpp"
#include "spec/scsi/operation.hpp"

namespace touka::scsi {

/// One command descriptor block, copied from where it came. Bytes beyond its length read zero. (SPC-5 §4.2)
class Cdb {
public:
    static constexpr std::size_t kLimitBytes = 260; ///< a variable length CDB's (SPC-5 §4.2.3)

    Cdb() = default;
    /// @param bytes what the transport delivered; what is beyond kLimitBytes is dropped.
    explicit Cdb(std::span<const std::uint8_t> bytes) : length_(std::min(bytes.size(), kLimitBytes)) {
        std::ranges::copy(bytes.first(length_), bytes_.begin());
    }

    [[nodiscard]] std::uint8_t operation_code() const { return bytes_[0]; }
    /// 0 for commands without one.
    [[nodiscard]] std::uint16_t service_action() const {
        if (operation_code() == spec::scsi::operation::kVariableLength) return static_cast<std::uint16_t>(number(8, 2));
        return spec::scsi::has_service_action(operation_code()) ? bytes_[1] & 0x1Fu : 0;
    }
    [[nodiscard]] std::uint8_t operator[](std::size_t index) const { return bytes_[index]; }
    [[nodiscard]] bool bit(std::size_t byte, unsigned bit) const { return (bytes_[byte] >> bit & 1) != 0; }
    /// The big-endian number in `count` bytes from `first` on. @pre within kLimitBytes, count 1 to 8.
    [[nodiscard]] std::uint64_t number(std::size_t first, std::size_t count) const {
        return spec::scsi::load_number(std::span(bytes_).subspan(first, count));
    }
    /// What the transport delivered: often 16 or 32 bytes for shorter commands.
    [[nodiscard]] std::span<const std::uint8_t> bytes() const { return std::span(bytes_).first(length_); }

private:
    std::array<std::uint8_t, kLimitBytes> bytes_{};
    std::size_t length_ = 0;
};

} // namespace touka::scsi
