#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "spec/scsi/sense.hpp"

namespace touka::scsi {

using spec::scsi::SenseCode;
using spec::scsi::SenseKey;

/// Which bit or byte of a CDB or parameter list is wrong. (SPC-5 §4.4.2.4.2)
struct FieldPointer {
    bool in_cdb = true;
    std::uint16_t byte = 0;
    std::optional<std::uint8_t> bit; ///< the leftmost bit of the field, 0 to 7
};

/// What is told about a command beside its status, before it is put into one of the two formats.
struct Sense {
    SenseKey key = SenseKey::kNoSense;
    SenseCode code = SenseCode::kNoAdditionalSense;
    std::optional<std::uint64_t> information{};
    std::optional<std::uint64_t> command_specific{};
    std::optional<FieldPointer> field{};
    std::optional<std::uint16_t> progress{}; ///< of an operation, in 65536ths (SPC-5 §4.4.2.4.4)
    bool filemark = false;                   ///< the three bits of stream commands (SPC-5 §4.4.2.8)
    bool end_of_medium = false;
    bool incorrect_length = false;

    /// ILLEGAL REQUEST, INVALID FIELD IN CDB at a byte and, where it helps, a bit.
    [[nodiscard]] static Sense invalid_field_in_cdb(std::uint16_t byte, std::optional<std::uint8_t> bit = {});
    /// ILLEGAL REQUEST, INVALID FIELD IN PARAMETER LIST.
    [[nodiscard]] static Sense invalid_field_in_parameters(std::uint16_t byte, std::optional<std::uint8_t> bit = {});
    [[nodiscard]] static Sense of(SenseKey key, SenseCode code) { return {.key = key, .code = code}; }
    [[nodiscard]] static Sense illegal_request(SenseCode code) { return of(SenseKey::kIllegalRequest, code); }
    [[nodiscard]] static Sense not_ready(SenseCode code) { return of(SenseKey::kNotReady, code); }
    [[nodiscard]] static Sense unit_attention(SenseCode code) { return of(SenseKey::kUnitAttention, code); }
};

/// Which format a device server answers in: D_SENSE of the Control mode page. (SPC-5 §7.5.10)
enum class SenseFormat : std::uint8_t { kFixed, kDescriptor };

/// Sense data as they go to the initiator; also those of a device that is passed through.
class SenseData {
public:
    SenseData() = default;
    /// @param bytes taken over up to kSenseLimitBytes.
    explicit SenseData(std::span<const std::uint8_t> bytes);

    [[nodiscard]] std::span<const std::uint8_t> bytes() const { return std::span(bytes_).first(length_); }
    [[nodiscard]] bool empty() const { return length_ == 0; }
    void clear() { length_ = 0; }
    /// Key and code in either format; nothing when the data are empty or malformed.
    [[nodiscard]] std::optional<Sense> decode() const;

private:
    std::array<std::uint8_t, spec::scsi::kSenseLimitBytes> bytes_{};
    std::uint8_t length_ = 0;
};

/// (SPC-5 §4.4.2 descriptor format, §4.4.3 fixed format). Fixed format drops what is wider than its fields.
[[nodiscard]] SenseData encode(const Sense& sense, SenseFormat format);

} // namespace touka::scsi
