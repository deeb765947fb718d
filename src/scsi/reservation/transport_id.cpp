#include "scsi/reservation/transport_id.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "spec/scsi/byte_order.hpp"
#include "spec/scsi/persistent_reservation.hpp"

namespace touka::scsi {

namespace {

using spec::scsi::ProtocolIdentifier;
namespace layout = spec::scsi::transport_id;

constexpr std::string_view kSeparator = ",i,0x";
constexpr std::size_t kIsidDigits = 12;
constexpr std::size_t kPortNameLimitBytes = layout::kIscsiNameLimitBytes + kSeparator.size() + kIsidDigits;

bool is_hexadecimal(std::string_view text) {
    return std::ranges::all_of(
        text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); });
}

/// Printable ASCII without spaces, or bytes of UTF-8's longer sequences.
bool is_name(std::string_view text) {
    return std::ranges::all_of(text, [](char c) {
        const auto byte = static_cast<std::uint8_t>(c);
        return byte > 0x20 && byte != 0x7F;
    });
}

/// Of fixed length, with an 8-byte name at `offset` and nothing else.
std::optional<TransportId> decode_fixed(std::span<const std::uint8_t> bytes, ProtocolIdentifier protocol,
                                        std::size_t offset) {
    if (bytes.size() < layout::kBytes || bytes[0] >> 6 != 0) return std::nullopt;
    const std::uint64_t name = spec::scsi::load_number(bytes.subspan(offset, 8));
    return TransportId{.port = {protocol, fmt::format("{:016x}", name)}, .length_bytes = layout::kBytes};
}

/// The name of a port with its ISID in small letters, which some initiators write large.
std::optional<std::string> port_name(std::string_view text) {
    const std::size_t separator = text.find(',');
    if (separator == 0 || separator == std::string_view::npos || separator > layout::kIscsiNameLimitBytes) return {};
    std::string tail(text.substr(separator));
    std::ranges::transform(tail, tail.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    if (tail.size() != kSeparator.size() + kIsidDigits || !tail.starts_with(kSeparator)) return {};
    if (!is_hexadecimal(std::string_view(tail).substr(kSeparator.size()))) return {};
    return std::string(text.substr(0, separator)) + tail;
}

std::optional<TransportId> decode_named(std::span<const std::uint8_t> bytes, ProtocolIdentifier protocol) {
    if (bytes.size() < layout::kIscsiNameOffset) return std::nullopt;
    const std::size_t length = spec::scsi::load_number(bytes.subspan(layout::kIscsiLengthOffset, 2));
    if (length % 4 != 0 || length < layout::kBytes - layout::kIscsiNameOffset) return std::nullopt;
    if (length > bytes.size() - layout::kIscsiNameOffset) return std::nullopt;
    const auto field = bytes.subspan(layout::kIscsiNameOffset, length);
    const auto end = std::ranges::find(field, 0);
    // The name ends with a zero, and zeros alone fill it up. (SPC-5 §4.3.2)
    if (end == field.end() || std::any_of(end, field.end(), [](std::uint8_t byte) { return byte != 0; })) return {};
    const std::string text(field.begin(), end);
    if (text.empty() || !is_name(text)) return std::nullopt;

    TransportId id{.port = {protocol, text}, .length_bytes = layout::kIscsiNameOffset + length};
    const std::uint8_t format = bytes[0] >> 6;
    if (protocol == ProtocolIdentifier::kIscsi && format == layout::kIscsiPort) {
        auto name = port_name(text);
        if (!name) return std::nullopt;
        id.port.name = *std::move(name);
        return id;
    }
    if (format != layout::kIscsiDevice || text.size() > layout::kIscsiNameLimitBytes) return std::nullopt;
    if (protocol == ProtocolIdentifier::kIscsi) {
        if (text.find(',') != std::string::npos) return std::nullopt;
        id.whole_device = true;
    }
    return id;
}

} // namespace

std::optional<TransportId> decode_transport_id(std::span<const std::uint8_t> bytes) {
    if (bytes.empty() || (bytes[0] & layout::kReservedBits) != 0) return std::nullopt;
    const auto protocol = static_cast<ProtocolIdentifier>(bytes[0] & 0x0F);
    switch (protocol) {
        case ProtocolIdentifier::kFibreChannel: return decode_fixed(bytes, protocol, layout::kFibreChannelNameOffset);
        case ProtocolIdentifier::kSas: return decode_fixed(bytes, protocol, layout::kSasAddressOffset);
        case ProtocolIdentifier::kIscsi:
        case ProtocolIdentifier::kNone: return decode_named(bytes, protocol);
    }
    return std::nullopt;
}

std::vector<std::uint8_t> encode_transport_id(const InitiatorPort& port) {
    const auto protocol = static_cast<std::uint8_t>(port.protocol);
    if (port.protocol == ProtocolIdentifier::kFibreChannel || port.protocol == ProtocolIdentifier::kSas) {
        std::vector<std::uint8_t> bytes(layout::kBytes);
        bytes[0] = protocol;
        std::uint64_t name = 0;
        const char* const end = port.name.data() + port.name.size();
        const auto [rest, error] = std::from_chars(port.name.data(), end, name, 16);
        if (error != std::errc{} || rest != end) name = 0;
        const bool is_sas = port.protocol == ProtocolIdentifier::kSas;
        const std::size_t offset = is_sas ? layout::kSasAddressOffset : layout::kFibreChannelNameOffset;
        spec::scsi::store_number(std::span(bytes).subspan(offset, 8), name);
        return bytes;
    }
    const std::string_view name = std::string_view(port.name).substr(0, kPortNameLimitBytes);
    const bool has_isid = port.protocol == ProtocolIdentifier::kIscsi && iscsi_device_name(name).size() != name.size();
    const std::size_t padded = (name.size() + 1 + 3) / 4 * 4; // a zero ends it
    std::vector<std::uint8_t> bytes(std::max(layout::kBytes, layout::kIscsiNameOffset + padded));
    const std::uint8_t format = has_isid ? layout::kIscsiPort : layout::kIscsiDevice;
    bytes[0] = static_cast<std::uint8_t>(format << 6 | protocol);
    spec::scsi::store_number(std::span(bytes).subspan(layout::kIscsiLengthOffset, 2),
                             bytes.size() - layout::kIscsiNameOffset);
    std::ranges::copy(name, bytes.begin() + layout::kIscsiNameOffset);
    return bytes;
}

std::string_view iscsi_device_name(std::string_view port_name) {
    return port_name.substr(0, port_name.find(kSeparator));
}

} // namespace touka::scsi
