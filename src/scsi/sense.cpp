#include "scsi/sense.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "spec/scsi/byte_order.hpp"

namespace touka::scsi {

using namespace spec::scsi;

namespace {

// Bits of the stream commands, at byte 2 in fixed format and byte 3 of their descriptor.
constexpr std::uint8_t kFilemark = 0x80, kEndOfMedium = 0x40, kIncorrectLength = 0x20;
constexpr std::uint8_t kValid = 0x80;
// Sense data descriptor types. (SPC-5 table 30)
constexpr std::uint8_t kInformationDescriptor = 0x00, kCommandSpecificDescriptor = 0x01, kKeySpecificDescriptor = 0x02,
                       kStreamDescriptor = 0x04, kBlockDescriptor = 0x05;

std::uint8_t stream_bits(const Sense& sense) {
    return static_cast<std::uint8_t>((sense.filemark ? kFilemark : 0) | (sense.end_of_medium ? kEndOfMedium : 0) |
                                     (sense.incorrect_length ? kIncorrectLength : 0));
}

/// The three bytes of SENSE KEY SPECIFIC; all zero when there is nothing to say. (SPC-5 §4.4.2.4)
std::array<std::uint8_t, 3> key_specific(const Sense& sense) {
    constexpr std::uint8_t kSksv = 0x80, kCommandData = 0x40, kBitPointerValid = 0x08;
    std::array<std::uint8_t, 3> bytes{};
    if (sense.field) {
        bytes[0] = static_cast<std::uint8_t>(kSksv | (sense.field->in_cdb ? kCommandData : 0) |
                                             (sense.field->bit ? kBitPointerValid | *sense.field->bit : 0));
        store_number(std::span(bytes).subspan(1), sense.field->byte);
    } else if (sense.progress) {
        bytes[0] = kSksv;
        store_number(std::span(bytes).subspan(1), *sense.progress);
    }
    return bytes;
}

SenseData encode_fixed(const Sense& sense) {
    std::array<std::uint8_t, kFixedSenseBytes> bytes{};
    bytes[0] = kFixedSense;
    bytes[2] = static_cast<std::uint8_t>(static_cast<std::uint8_t>(sense.key) | stream_bits(sense));
    // A residue of a stream command is a number with a sign; as 32 bits it is whole in both cases.
    const auto fits = [](std::uint64_t value) {
        return value <= std::numeric_limits<std::uint32_t>::max() || value >= std::uint64_t{0} - 0x8000'0000u;
    };
    if (sense.information && fits(*sense.information)) {
        bytes[0] |= kValid;
        store_number(std::span(bytes).subspan(3, 4), *sense.information);
    }
    bytes[7] = kFixedSenseBytes - 8;
    if (sense.command_specific && fits(*sense.command_specific)) {
        store_number(std::span(bytes).subspan(8, 4), *sense.command_specific);
    }
    bytes[12] = asc(sense.code);
    bytes[13] = ascq(sense.code);
    std::ranges::copy(key_specific(sense), bytes.begin() + 15);
    return SenseData(bytes);
}

SenseData encode_descriptors(const Sense& sense) {
    std::array<std::uint8_t, 8 + 12 + 12 + 8 + 4> bytes{};
    std::size_t length = 8;
    const auto add = [&](std::uint8_t type, std::size_t size) {
        const auto descriptor = std::span(bytes).subspan(length, size);
        descriptor[0] = type;
        descriptor[1] = static_cast<std::uint8_t>(size - 2);
        length += size;
        return descriptor;
    };
    bytes[0] = kDescriptorSense;
    bytes[1] = static_cast<std::uint8_t>(sense.key);
    bytes[2] = asc(sense.code);
    bytes[3] = ascq(sense.code);
    if (sense.information) {
        const auto descriptor = add(kInformationDescriptor, 12);
        descriptor[2] = kValid;
        store_number(descriptor.subspan(4), *sense.information);
    }
    if (sense.command_specific) store_number(add(kCommandSpecificDescriptor, 12).subspan(4), *sense.command_specific);
    if (const auto specific = key_specific(sense); specific[0] != 0) {
        std::ranges::copy(specific, add(kKeySpecificDescriptor, 8).begin() + 4);
    }
    if (const std::uint8_t bits = stream_bits(sense); bits != 0) add(kStreamDescriptor, 4)[3] = bits;
    bytes[7] = static_cast<std::uint8_t>(length - 8);
    return SenseData(std::span(bytes).first(length));
}

std::optional<Sense> decode_fixed(std::span<const std::uint8_t> bytes) {
    if (bytes.size() < 8) return std::nullopt;
    Sense sense;
    sense.key = static_cast<SenseKey>(bytes[2] & 0x0F);
    sense.filemark = (bytes[2] & kFilemark) != 0;
    sense.end_of_medium = (bytes[2] & kEndOfMedium) != 0;
    sense.incorrect_length = (bytes[2] & kIncorrectLength) != 0;
    if ((bytes[0] & kValid) != 0) sense.information = load_number(bytes.subspan(3, 4));
    if (bytes.size() >= 14) sense.code = static_cast<SenseCode>(load_number(bytes.subspan(12, 2)));
    return sense;
}

std::optional<Sense> decode_descriptors(std::span<const std::uint8_t> bytes) {
    if (bytes.size() < 8) return std::nullopt;
    Sense sense;
    sense.key = static_cast<SenseKey>(bytes[1] & 0x0F);
    sense.code = static_cast<SenseCode>(load_number(bytes.subspan(2, 2)));
    auto rest = bytes.subspan(8, std::min<std::size_t>(bytes[7], bytes.size() - 8));
    while (rest.size() >= 2) {
        const std::size_t size = rest[1] + std::size_t{2};
        if (size > rest.size()) break;
        if (rest[0] == kInformationDescriptor && size >= 12 && (rest[2] & kValid) != 0) {
            sense.information = load_number(rest.subspan(4, 8));
        } else if (rest[0] == kStreamDescriptor && size >= 4) {
            sense.filemark = (rest[3] & kFilemark) != 0;
            sense.end_of_medium = (rest[3] & kEndOfMedium) != 0;
            sense.incorrect_length = (rest[3] & kIncorrectLength) != 0;
        } else if (rest[0] == kBlockDescriptor && size >= 4) {
            sense.incorrect_length = (rest[3] & kIncorrectLength) != 0;
        }
        rest = rest.subspan(size);
    }
    return sense;
}

} // namespace

Sense Sense::invalid_field_in_cdb(std::uint16_t byte, std::optional<std::uint8_t> bit) {
    return {.key = SenseKey::kIllegalRequest,
            .code = SenseCode::kInvalidFieldInCdb,
            .field = FieldPointer{.in_cdb = true, .byte = byte, .bit = bit}};
}

Sense Sense::invalid_field_in_parameters(std::uint16_t byte, std::optional<std::uint8_t> bit) {
    return {.key = SenseKey::kIllegalRequest,
            .code = SenseCode::kInvalidFieldInParameterList,
            .field = FieldPointer{.in_cdb = false, .byte = byte, .bit = bit}};
}

SenseData::SenseData(std::span<const std::uint8_t> bytes)
    : length_(static_cast<std::uint8_t>(std::min(bytes.size(), kSenseLimitBytes))) {
    std::ranges::copy(bytes.first(length_), bytes_.begin());
}

std::optional<Sense> SenseData::decode() const {
    if (length_ == 0) return std::nullopt;
    switch (bytes_[0] & 0x7F) {
        case kFixedSense:
        case kFixedSense + 1: return decode_fixed(bytes());
        case kDescriptorSense:
        case kDescriptorSense + 1: return decode_descriptors(bytes());
        default: return std::nullopt;
    }
}

SenseData encode(const Sense& sense, SenseFormat format) {
    return format == SenseFormat::kFixed ? encode_fixed(sense) : encode_descriptors(sense);
}

} // namespace touka::scsi
