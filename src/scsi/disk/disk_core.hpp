#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>

#include "scsi/device_server/device_server.hpp"
#include "scsi/device_server/mode_pages.hpp"
#include "scsi/disk/atomic_journal.hpp"
#include "scsi/disk/background_jobs.hpp"
#include "scsi/disk/block_cdb.hpp"
#include "scsi/disk/range_locks.hpp"
#include "spec/scsi/protection.hpp"
#include "storage/block_device.hpp"

namespace touka::scsi {

class ProtectedDisk;

/// What the command groups of a disk work on. On the unit's reactor.
struct DiskCore {
    DeviceServer& server;
    storage::BlockDevice& volume;
    ModePages& modes;
    std::uint32_t block_bytes;
    std::uint64_t block_count;
    std::uint32_t physical_block_bytes;
    bool read_only;
    bool long_commands; ///< those of 32 bytes, which only protection type 2 needs
    RangeLocks ranges{};
    BackgroundJobs background{};
    AtomicJournal* journal = nullptr;    ///< null: no WRITE ATOMIC
    ProtectedDisk* protection = nullptr; ///< null: no protection information; set before commands are added

    /// Longest transfer in bytes that a command may ask for: MAXIMUM TRANSFER LENGTH.
    static constexpr std::uint64_t kTransferLimitBytes = 16ull << 20;

    /// How much is zeroed at once, between looks at whether the task was aborted.
    static constexpr std::uint64_t kZeroStepBytes = 256ull << 20;

    /// Logical blocks in a physical one.
    [[nodiscard]] std::uint32_t blocks_per_physical() const { return std::max(1u, physical_block_bytes / block_bytes); }
    [[nodiscard]] std::uint64_t bytes(std::uint64_t blocks) const { return blocks * block_bytes; }
    /// @return the sense of a range that leaves the medium, and, with a limit, of one that is too long.
    /// @param length_field the byte of the CDB that says how many blocks.
    [[nodiscard]] std::optional<Sense> check_range(const BlockRange& range) const;
    [[nodiscard]] std::optional<Sense> check_transfer(const BlockRange& range, const Cdb& cdb) const;
    /// @return the sense of a medium that may not be changed now.
    [[nodiscard]] std::optional<Sense> check_writable() const;
    /// @return the sense of a unit whose volume may not be touched any more: asked before a command starts, and again
    /// when it had to wait for its blocks.
    [[nodiscard]] std::optional<Sense> failure() const;
    /// Must a write be stable before it completes? With FUA, and without a write cache.
    [[nodiscard]] bool force_unit_access(bool fua) const { return fua || !write_cache(); }
    /// Which bits the byte of block_flags has for protection information.
    [[nodiscard]] std::uint8_t protect_field() const {
        return protection != nullptr ? spec::scsi::kProtectField : std::uint8_t{0};
    }
    /// WCE of the Caching mode page.
    [[nodiscard]] bool write_cache() const { return (modes.page(kCachingPage)[0] & 0x04) != 0; }

    static constexpr std::uint8_t kCachingPage = 0x08;
};

/// The sense for what became of a request to the volume: the only place where one becomes the other.
[[nodiscard]] Sense medium_sense(storage::BlockStatus status, storage::BlockOperation operation);

/// The first byte of TRANSFER LENGTH or what stands in its place.
[[nodiscard]] std::uint16_t length_field(const Cdb& cdb);

/// Usage data of CDBs with block ranges. (SBC-4 §5)
/// @param flags which bits beside the service action's byte 1 (byte 10 of 32-byte CDBs) has.
[[nodiscard]] std::vector<std::uint8_t> range_usage(std::uint8_t operation_code, std::uint8_t flags);
[[nodiscard]] std::vector<std::uint8_t> range_usage32(std::uint16_t service_action, std::uint8_t flags);

} // namespace touka::scsi
