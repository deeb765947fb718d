// EXTENDED COPY with list identifiers of one byte. (SPC-4 §5.16, §6.5, §6.18 to §6.23, §7.8.17)
#pragma once

#include <cstddef>
#include <cstdint>

namespace touka::spec::scsi {

namespace service_action {
// THIRD-PARTY COPY OUT and IN, opcodes 83h and 84h. (SPC-4 tables 105, 107)
inline constexpr std::uint16_t kExtendedCopyLid1 = 0x00;
inline constexpr std::uint16_t kReceiveCopyStatusLid1 = 0x00, kReceiveCopyOperatingParameters = 0x03,
                               kReceiveCopyFailureDetailsLid1 = 0x04;
} // namespace service_action

/// The parameter list's header, and the descriptors that follow it. (SPC-4 §6.5.3)
inline constexpr std::size_t kCopyListHeaderBytes = 16, kCopyTargetBytes = 32, kCopyBlockSegmentBytes = 28;

/// LIST ID USAGE. (SPC-4 table 121)
enum class ListIdUsage : std::uint8_t { kHold = 0, kReserved = 1, kDiscard = 2, kNone = 3 };

/// Descriptor type codes. (SPC-4 table 122)
inline constexpr std::uint8_t kSegmentBlockToBlock = 0x02, kTargetIdentification = 0xE4;

/// COPY MANAGER STATUS. (SPC-4 table 242)
enum class CopyStatus : std::uint8_t { kInProgress = 0, kCompleted = 1, kFailed = 2 };

/// Third-party copy descriptors of VPD page 8Fh. (SPC-4 table 664)
enum class ThirdPartyCopyDescriptor : std::uint16_t {
    kSupportedCommands = 0x0001,
    kParameterData = 0x0004,
    kSupportedDescriptors = 0x0008,
    kGeneralCopyOperations = 0x8001,
};

/// The forwarded sense data descriptor. (SPC-4 §4.5.2.7)
inline constexpr std::uint8_t kForwardedSenseDescriptor = 0x0C;
enum class ForwardedSenseSource : std::uint8_t { kUnknown = 0, kCopySource = 1, kCopyDestination = 2 };

} // namespace touka::spec::scsi
