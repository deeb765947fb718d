// For tests: a disk on volumes that lose power, and the initiator that uses it.
#pragma once

#include <optional>

#include "scsi/disk/disk_unit.hpp"
#include "scsi/test_task.hpp"
#include "storage/volatile_volume.hpp"

namespace touka::scsi {

using Bytes = std::vector<std::uint8_t>;

class PoweredDisk {
public:
    static constexpr std::uint64_t kBlocks = 4096;

    struct Parts {
        bool journal = false;
        std::uint32_t seed = 1;
        std::optional<ProtectionType> protection{};
    };
    explicit PoweredDisk(Parts parts) : power(parts.seed), parts_(parts) { start(); }

    /// Takes the power away, if it is still there, and brings it back.
    void restart(bool lose_all = false) {
        unit.reset();
        power.restore();
        for (storage::VolatileVolume* volume : {&disk, &journal, &side}) volume->lose_cache(lose_all);
        start();
    }
    void start() {
        DiskOptions options;
        options.identity.serial = "1";
        options.long_commands = true;
        if (parts_.journal) options.atomic_journal = &journal;
        if (parts_.protection) options.protection = &side;
        options.protection_type = parts_.protection.value_or(ProtectionType::kNone);
        unit = std::make_unique<DiskUnit>(disk, std::move(options));
        unit->unit().attach(nexus);
        run({0, 0, 0, 0, 0, 0}); // takes the unit attention
    }
    TestTask& run(Bytes cdb, Bytes data = {}, std::uint64_t data_in_limit = 2 << 20) {
        task.emplace(nexus, std::move(cdb), std::move(data), data_in_limit);
        unit->unit().submit(*task);
        unit->unit().commit();
        return *task;
    }
    bool good(Bytes cdb, Bytes data = {}) {
        const TestTask& done = run(std::move(cdb), std::move(data));
        return done.completed() && done.status == Status::kGood;
    }
    /// What the medium has, as a read sees it now.
    [[nodiscard]] Bytes blocks(std::uint64_t lba, std::uint64_t count) const {
        const auto first = disk.bytes().begin() + static_cast<std::ptrdiff_t>(lba * 512);
        return {first, first + static_cast<std::ptrdiff_t>(count * 512)};
    }

    storage::Power power;
    storage::VolatileVolume disk{kBlocks * 512, power};
    storage::VolatileVolume journal{2 * AtomicJournal::kSlotBytes, power};
    storage::VolatileVolume side{ProtectionStore::file_bytes(kBlocks), power};
    Nexus nexus;
    std::unique_ptr<DiskUnit> unit;
    std::optional<TestTask> task;

private:
    Parts parts_;
};

/// CDBs with 64-bit LBA and 32-bit length.
inline Bytes cdb16(std::uint8_t code, std::uint8_t flags, std::uint64_t lba, std::uint64_t count) {
    Bytes cdb(16);
    cdb[0] = code;
    cdb[1] = flags;
    spec::scsi::store_number(std::span(cdb).subspan(2, 8), lba);
    spec::scsi::store_number(std::span(cdb).subspan(10, 4), count);
    return cdb;
}
/// READ(32) and its kin, with what type 2 is for. @param action the service action.
inline Bytes cdb32(std::uint16_t action, std::uint8_t flags, std::uint64_t lba, std::uint32_t count,
                   std::uint32_t reference, std::uint16_t application = 0, std::uint16_t application_mask = 0) {
    Bytes cdb(32);
    const auto set = [&](std::size_t at, std::uint64_t value, std::size_t size) {
        spec::scsi::store_number(std::span(cdb).subspan(at, size), value);
    };
    cdb[0] = spec::scsi::operation::kVariableLength;
    cdb[7] = 0x18;
    set(8, action, 2);
    cdb[10] = flags;
    set(12, lba, 8);
    set(20, reference, 4);
    set(24, application, 2);
    set(26, application_mask, 2);
    set(28, count, 4);
    return cdb;
}
inline Bytes write_atomic(std::uint64_t lba, std::uint16_t count, std::uint8_t flags = 0, std::uint16_t boundary = 0) {
    return cdb16(spec::scsi::operation::kWriteAtomic16, flags, lba, static_cast<std::uint64_t>(boundary) << 16 | count);
}
inline Bytes pattern(std::size_t blocks, std::uint8_t seed, std::size_t block_bytes = 512) {
    Bytes bytes(blocks * block_bytes);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<std::uint8_t>(i * 7 + i / block_bytes * 13 + seed);
    }
    return bytes;
}

} // namespace touka::scsi
