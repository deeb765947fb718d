#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "spec/scsi/byte_order.hpp"
#include "spec/scsi/iscsi_pdu.hpp"

namespace touka::scsi::iscsi {

using spec::iscsi::HeaderField;
using spec::iscsi::Opcode;

/// A basic header segment. (RFC 7143 §11.2.1)
struct BasicHeader {
    std::array<std::uint8_t, spec::iscsi::kBasicHeaderBytes> bytes{};

    BasicHeader() = default;
    explicit BasicHeader(Opcode opcode, std::uint8_t flags = spec::iscsi::kFinal) {
        bytes[0] = static_cast<std::uint8_t>(opcode);
        bytes[1] = flags;
    }
    [[nodiscard]] Opcode opcode() const { return Opcode(bytes[0] & spec::iscsi::kOpcodeMask); }
    [[nodiscard]] bool immediate() const { return (bytes[0] & spec::iscsi::kImmediate) != 0; }
    [[nodiscard]] std::uint8_t flags() const { return bytes[1]; }
    [[nodiscard]] bool has(std::uint8_t flag) const { return (bytes[1] & flag) != 0; }
    [[nodiscard]] std::uint64_t get(HeaderField field) const {
        return spec::scsi::load_number(std::span(bytes).subspan(field.offset, field.bytes));
    }
    [[nodiscard]] std::uint32_t get32(HeaderField field) const { return static_cast<std::uint32_t>(get(field)); }
    BasicHeader& set(HeaderField field, std::uint64_t value) {
        spec::scsi::store_number(std::span(bytes).subspan(field.offset, field.bytes), value);
        return *this;
    }
    [[nodiscard]] std::uint32_t task_tag() const { return get32(spec::iscsi::kInitiatorTaskTag); }
    [[nodiscard]] std::uint32_t data_bytes() const { return get32(spec::iscsi::kDataSegmentLength); }
    [[nodiscard]] std::size_t ahs_bytes() const { return std::size_t{bytes[4]} * 4; }
};

/// Data segments fill whole words. (RFC 7143 §11.2.4)
[[nodiscard]] constexpr std::size_t padding_bytes(std::size_t data_bytes) { return (4 - data_bytes % 4) % 4; }
static_assert(padding_bytes(5) == 3 && padding_bytes(8) == 0);

/// Is `a` before `b` in serial number arithmetic on 32 bits? (RFC 7143 §4.2.2.1, RFC 1982)
[[nodiscard]] constexpr bool serial_less(std::uint32_t a, std::uint32_t b) {
    return static_cast<std::int32_t>(a - b) < 0;
}
static_assert(serial_less(0xFFFF'FFFF, 0) && !serial_less(5, 5));

} // namespace touka::scsi::iscsi
