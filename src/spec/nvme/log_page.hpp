// Log pages and asynchronous events. (NVM Express Base 2.0 §5.2, §5.16)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace touka::spec::nvme {

/// §5.16.1 figure 202: log page identifiers.
enum class LogId : std::uint8_t {
    kSupportedPages = 0x00,
    kErrors = 0x01,
    kHealth = 0x02,
    kFirmwareSlots = 0x03,
    kChangedNamespaces = 0x04,
    kCommandEffects = 0x05,
    kReservations = 0x80,
};

/// §5.16.1.2 figure 206: error information log entry.
struct [[gnu::packed]] ErrorLogEntry {
    std::uint64_t error_count;
    std::uint16_t sqid, cid, status_phase, parameter_location;
    std::uint64_t lba;
    std::uint32_t nsid;
    std::uint8_t vendor_log, trtype;
    std::array<std::uint8_t, 2> reserved30;
    std::uint64_t command_specific;
    std::array<std::uint8_t, 24> reserved40;
};
static_assert(sizeof(ErrorLogEntry) == 64);

/// §5.16.1.3 figure 207: SMART / Health Information log. 128-bit counters, low half first.
struct [[gnu::packed]] HealthLog {
    using Counter = std::array<std::uint64_t, 2>;
    std::uint8_t critical_warning;
    std::uint16_t temperature; ///< in K
    std::uint8_t available_spare, spare_threshold, percentage_used, endurance_summary;
    std::array<std::uint8_t, 25> reserved7;
    Counter data_units_read, data_units_written; ///< in 1000 times 512 bytes, rounded up
    Counter host_reads, host_writes, busy_minutes, power_cycles, power_on_hours, unsafe_shutdowns, media_errors,
        error_entries;
    std::array<std::uint8_t, 320> rest;
};
static_assert(sizeof(HealthLog) == 512 && offsetof(HealthLog, data_units_read) == 32 &&
              offsetof(HealthLog, error_entries) == 176);

/// §5.16.1.4 figure 209: Firmware Slot Information log.
struct FirmwareLog {
    std::uint8_t active_slot;
    std::array<std::uint8_t, 7> reserved1;
    std::array<std::array<char, 8>, 7> revisions;
    std::array<std::uint8_t, 448> reserved64;
};
static_assert(sizeof(FirmwareLog) == 512);

/// §5.16.1.5: Changed Namespace List.
inline constexpr std::size_t kChangedNamespaceLimit = 1024;

/// §5.16.1.6 figure 210: Commands Supported and Effects log.
struct EffectsLog {
    std::array<std::uint32_t, 256> admin, io;
    std::array<std::uint8_t, 2048> reserved;
};
static_assert(sizeof(EffectsLog) == 4096);
inline constexpr std::uint32_t kEffectSupported = 1u << 0, kEffectContentChange = 1u << 1,
                               kEffectNamespaceChange = 1u << 2, kEffectInventoryChange = 1u << 3,
                               kEffectControllerChange = 1u << 4;
inline constexpr std::uint32_t kEffectExclusiveForNamespace = 1u << 16; // CSE 001b

/// §5.16.1.25 figure 267: Reservation Notification log.
struct ReservationLog {
    std::uint64_t count;
    std::uint8_t type; ///< 0: empty
    std::uint8_t available_pages;
    std::array<std::uint8_t, 2> reserved10;
    std::uint32_t nsid;
    std::array<std::uint8_t, 48> reserved16;
};
static_assert(sizeof(ReservationLog) == 64);
inline constexpr std::uint8_t kRegistrationPreempted = 1, kReservationReleased = 2, kReservationPreempted = 3;

/// §5.2.1 figures 146 to 151: asynchronous event types, and their information.
enum class EventType : std::uint8_t { kError = 0, kHealth = 1, kNotice = 2, kCommandSet = 6 };
inline constexpr std::uint8_t kErrorInvalidDoorbellRegister = 0, kErrorInvalidDoorbellValue = 1;
inline constexpr std::uint8_t kNoticeNamespaceAttributes = 0;
inline constexpr std::uint8_t kCommandSetReservationLog = 0;
inline constexpr std::uint8_t kHealthReliability = 0;
/// §5.27.1.8 figure 326: what asynchronous event configuration lets through.
inline constexpr std::uint32_t kEventHealthMask = 0xFF, kEventNamespaceAttributes = 1u << 8;

} // namespace touka::spec::nvme
