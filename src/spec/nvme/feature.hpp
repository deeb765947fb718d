// Features. (NVM Express Base 2.0 §5.27; NVM Command Set 1.0 §4.1.3)
#pragma once

#include <cstddef>
#include <cstdint>

namespace touka::spec::nvme {

/// Base 2.0 §5.27.1 figure 317: feature identifiers.
enum class FeatureId : std::uint8_t {
    kArbitration = 0x01,
    kPowerManagement = 0x02,
    kTemperatureThreshold = 0x04,
    kErrorRecovery = 0x05,
    kVolatileWriteCache = 0x06,
    kNumberOfQueues = 0x07,
    kInterruptCoalescing = 0x08,
    kInterruptVector = 0x09,
    kWriteAtomicity = 0x0A,
    kAsyncEvents = 0x0B,
    kTimestamp = 0x0E,
    kHostBehavior = 0x16,
    kCommandSetProfile = 0x19,
    kSoftwareProgress = 0x80,
    kHostIdentifier = 0x81,
    kReservationNotificationMask = 0x82,
    kReservationPersistence = 0x83,
};

/// SEL of Get Features, command Dword 10 bits 10:8. (§5.15)
inline constexpr std::uint8_t kSelectCurrent = 0, kSelectDefault = 1, kSelectSaved = 2, kSelectCapabilities = 3;
/// What SEL 3 answers. (§5.15.1 figure 192)
inline constexpr std::uint32_t kFeatureSaveable = 1u << 0, kFeatureNamespaceSpecific = 1u << 1,
                               kFeatureChangeable = 1u << 2;
inline constexpr std::uint32_t kSetFeatureSave = 1u << 31; // §5.27: SV of command Dword 10

inline constexpr std::size_t kTimestampBytes = 8, kHostBehaviorBytes = 512;
/// §5.27.1.25: EXHID of command Dword 11: 16 bytes instead of 8.
inline constexpr std::uint32_t kExtendedHostId = 1u << 0;
/// §5.27.1.27: bits of the reservation notification mask.
inline constexpr std::uint32_t kMaskRegistrationPreempted = 1u << 1, kMaskReservationReleased = 1u << 2,
                               kMaskReservationPreempted = 1u << 3;

} // namespace touka::spec::nvme
