// Reservations. (NVM Express Base 2.0 §7.2 to §7.5, §8.19)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace touka::spec::nvme {

/// §7.2 figure 392: reservation types.
enum class ReservationType : std::uint8_t {
    kNone = 0,
    kWriteExclusive = 1,
    kExclusiveAccess = 2,
    kWriteExclusiveRegistrantsOnly = 3,
    kExclusiveAccessRegistrantsOnly = 4,
    kWriteExclusiveAllRegistrants = 5,
    kExclusiveAccessAllRegistrants = 6,
};

/// §7.2, §7.3, §7.4: actions, in command Dword 10 bits 2:0.
inline constexpr std::uint8_t kRegister = 0, kUnregister = 1, kReplaceKey = 2;
inline constexpr std::uint8_t kAcquire = 0, kPreempt = 1, kPreemptAndAbort = 2;
inline constexpr std::uint8_t kRelease = 0, kClear = 1;
/// Bit 3: ignore the existing key. CPTPL of Reservation Register in bits 31:30.
inline constexpr std::uint32_t kIgnoreExistingKey = 1u << 3;
inline constexpr std::uint8_t kPersistNoChange = 0, kPersistOff = 2, kPersistOn = 3;

/// Figures 391, 396, 400: CRKEY, and NRKEY or PRKEY; Reservation Release has only the first.
struct ReservationKeys {
    std::uint64_t current, other;
};
static_assert(sizeof(ReservationKeys) == 16);

/// §7.5 figures 404, 406: Reservation Status, and its extended form.
struct [[gnu::packed]] ReservationStatus {
    std::uint32_t generation;
    std::uint8_t type;
    std::uint16_t registrants;
    std::array<std::uint8_t, 2> reserved7;
    std::uint8_t persist;
    std::array<std::uint8_t, 14> reserved10;
};
static_assert(sizeof(ReservationStatus) == 24);
inline constexpr std::size_t kExtendedStatusHeader = 64;
inline constexpr std::uint32_t kExtendedStatus = 1u << 0; // EDS, command Dword 11

/// Figures 405, 407: Registrant data structure, and its extended form.
struct Registrant {
    std::uint16_t cntlid;
    std::uint8_t holder; ///< bit 0
    std::array<std::uint8_t, 5> reserved3;
    std::uint64_t host_id, key;
};
static_assert(sizeof(Registrant) == 24);
struct ExtendedRegistrant {
    std::uint16_t cntlid;
    std::uint8_t holder;
    std::array<std::uint8_t, 5> reserved3;
    std::uint64_t key;
    std::array<std::uint8_t, 16> host_id;
    std::array<std::uint8_t, 32> reserved32;
};
static_assert(sizeof(ExtendedRegistrant) == 64);

} // namespace touka::spec::nvme
