#include "scsi/copy/copy_failure.hpp"

#include <vector>

namespace touka::scsi {

using namespace spec::scsi;

namespace {

/// Behind the fixed part: the status and then the sense data, to which a byte of COMMAND-SPECIFIC INFORMATION points.
void append_fixed(std::vector<std::uint8_t>& bytes, const CopyFailure& failure, const SenseData& inner) {
    constexpr std::size_t kSourcePointer = 8, kDestinationPointer = 9, kAdditionalLength = 7;
    const bool of_source = failure.from == ForwardedSenseSource::kCopySource;
    bytes[of_source ? kSourcePointer : kDestinationPointer] = static_cast<std::uint8_t>(bytes.size());
    bytes.push_back(static_cast<std::uint8_t>(failure.status));
    bytes.insert(bytes.end(), inner.bytes().begin(), inner.bytes().end());
    bytes[kAdditionalLength] = static_cast<std::uint8_t>(bytes.size() - 8);
}

void append_descriptor(std::vector<std::uint8_t>& bytes, const CopyFailure& failure, const SenseData& inner) {
    bytes.push_back(kForwardedSenseDescriptor);
    bytes.push_back(static_cast<std::uint8_t>(inner.bytes().size() + 2));
    bytes.push_back(static_cast<std::uint8_t>(failure.from));
    bytes.push_back(static_cast<std::uint8_t>(failure.status));
    bytes.insert(bytes.end(), inner.bytes().begin(), inner.bytes().end());
    bytes[7] = static_cast<std::uint8_t>(bytes.size() - 8);
}

} // namespace

SenseData copy_aborted(const CopyFailure& failure, std::uint16_t segment, SenseFormat format) {
    Sense outer = Sense::of(SenseKey::kCopyAborted, failure.code);
    outer.command_specific = segment; // its last two bytes
    const SenseData plain = encode(outer, format);
    if (failure.from == ForwardedSenseSource::kUnknown) return plain;
    std::vector<std::uint8_t> bytes(plain.bytes().begin(), plain.bytes().end());
    const SenseData inner = failure.sense ? encode(*failure.sense, format) : SenseData();
    if (format == SenseFormat::kFixed) {
        append_fixed(bytes, failure, inner);
    } else {
        append_descriptor(bytes, failure, inner);
    }
    return SenseData(bytes);
}

} // namespace touka::scsi
