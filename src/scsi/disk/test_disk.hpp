// A disk for tests: on a volume in memory, with two nexuses that have no unit attention left.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "scsi/disk/disk_unit.hpp"
#include "scsi/test_task.hpp"
#include "storage/memory_volume.hpp"

namespace touka::scsi {

/// A CDB of 10 bytes with a block range.
[[nodiscard]] inline std::vector<std::uint8_t> cdb10(std::uint8_t code, std::uint64_t lba, std::uint64_t count,
                                                     std::uint8_t flags = 0) {
    std::vector<std::uint8_t> cdb(10);
    cdb[0] = code;
    cdb[1] = flags;
    spec::scsi::store_number(std::span(cdb).subspan(2, 4), lba);
    spec::scsi::store_number(std::span(cdb).subspan(7, 2), count);
    return cdb;
}
[[nodiscard]] inline std::vector<std::uint8_t> cdb16(std::uint8_t code, std::uint64_t lba, std::uint64_t count,
                                                     std::uint8_t flags = 0) {
    std::vector<std::uint8_t> cdb(16);
    cdb[0] = code;
    cdb[1] = flags;
    spec::scsi::store_number(std::span(cdb).subspan(2, 8), lba);
    spec::scsi::store_number(std::span(cdb).subspan(10, 4), count);
    return cdb;
}
[[nodiscard]] inline std::vector<std::uint8_t> cdb32(std::uint16_t action, std::uint64_t lba, std::uint64_t count,
                                                     std::uint8_t flags = 0) {
    std::vector<std::uint8_t> cdb(32);
    cdb[0] = 0x7F;
    cdb[7] = 0x18;
    spec::scsi::store_number(std::span(cdb).subspan(8, 2), action);
    cdb[10] = flags;
    spec::scsi::store_number(std::span(cdb).subspan(12, 8), lba);
    spec::scsi::store_number(std::span(cdb).subspan(28, 4), count);
    return cdb;
}
/// `count` blocks of 512 bytes, each filled with `value`, which `step` is added to from block to block.
[[nodiscard]] inline std::vector<std::uint8_t> blocks(std::size_t count, std::uint8_t value, std::uint8_t step = 0) {
    std::vector<std::uint8_t> data(count * 512);
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::uint8_t>(value + i / 512 * step);
    return data;
}

/// What goes between a test and any disk.
class DiskUser {
public:
    explicit DiskUser(DiskUnit& unit) : unit_(unit) {
        for (Nexus* nexus : {&a, &b}) {
            unit.unit().attach(*nexus);
            (void)unit.server().attentions().take(nexus->name);
        }
    }
    /// Submits a command and keeps it; it has completed unless the volume holds requests back.
    TestTask& run_from(Nexus& from, std::vector<std::uint8_t> cdb, std::vector<std::uint8_t> data = {},
                       std::uint64_t limit = 32 << 20) {
        auto& task = *tasks_.emplace_back(std::make_unique<TestTask>(from, std::move(cdb), std::move(data), limit));
        task.tag = tasks_.size();
        unit_.unit().submit(task);
        unit_.unit().commit();
        return task;
    }
    TestTask& run(std::vector<std::uint8_t> cdb, std::vector<std::uint8_t> data = {}, std::uint64_t limit = 32 << 20) {
        return run_from(a, std::move(cdb), std::move(data), limit);
    }
    /// What a command returns. @pre it ends with GOOD.
    [[nodiscard]] std::vector<std::uint8_t> read(std::vector<std::uint8_t> cdb) {
        const auto data = run(std::move(cdb)).received();
        return {data.begin(), data.end()};
    }

    Nexus a{.name = {{spec::scsi::ProtocolIdentifier::kIscsi, "iqn.a"}, 1}, .index = 0, .units = {}};
    Nexus b{.name = {{spec::scsi::ProtocolIdentifier::kIscsi, "iqn.b"}, 2}, .index = 1, .units = {}};

private:
    DiskUnit& unit_;
    std::deque<std::unique_ptr<TestTask>> tasks_;
};

[[nodiscard]] inline DiskOptions test_disk_options() {
    return {.identity = {.product = "TEST DISK", .revision = "0.1", .serial = "S1", .naa = derive_naa("S1")},
            .ports = {{.relative = 1, .group = 1, .name = "iqn.t,t,0x0001"}, {.relative = 2, .group = 2, .name = ""}},
            .long_commands = true};
}

/// 1 MiB in blocks of 512 bytes, unless asked for otherwise.
class TestDisk {
public:
    static constexpr std::uint64_t kBlocks = 2048;

    explicit TestDisk(DiskOptions options = test_disk_options(), std::uint64_t size_bytes = kBlocks * 512)
        : volume(size_bytes) {
        disk_.emplace(volume, std::move(options));
        user_.emplace(*disk_);
    }
    /// The same volume behind another unit, when its geometry has changed.
    void open_again(DiskOptions options = test_disk_options()) {
        user_.reset();
        disk_.emplace(volume, std::move(options));
        user_.emplace(*disk_);
    }
    /// Another device between unit and volume.
    void open_again(storage::BlockDevice& other) {
        user_.reset();
        disk_.emplace(other, test_disk_options());
        user_.emplace(*disk_);
    }
    [[nodiscard]] DiskUnit& disk() { return *disk_; }
    [[nodiscard]] DiskUser& user() { return *user_; }
    TestTask& run(std::vector<std::uint8_t> cdb, std::vector<std::uint8_t> data = {}, std::uint64_t limit = 32 << 20) {
        return user_->run(std::move(cdb), std::move(data), limit);
    }
    [[nodiscard]] std::vector<std::uint8_t> read(std::vector<std::uint8_t> cdb) { return user_->read(std::move(cdb)); }
    /// The first byte of a block on the medium.
    [[nodiscard]] std::uint8_t on_medium(std::uint64_t lba, std::size_t byte = 0) const {
        return static_cast<std::uint8_t>(volume.bytes[lba * 512 + byte]);
    }
    void fill(std::uint64_t lba, std::uint64_t count, std::uint8_t value) {
        std::fill_n(volume.bytes.begin() + static_cast<std::ptrdiff_t>(lba * 512), count * 512, std::byte{value});
    }
    /// MODE SELECT(10) of one page.
    TestTask& select_page(std::uint8_t page, std::vector<std::uint8_t> content) {
        std::vector<std::uint8_t> list(8);
        list.push_back(page);
        list.push_back(static_cast<std::uint8_t>(content.size()));
        list.insert(list.end(), content.begin(), content.end());
        const auto length = static_cast<std::uint8_t>(list.size());
        return run({0x55, 0x10, 0, 0, 0, 0, 0, 0, length, 0}, std::move(list));
    }
    /// Completes what the volume holds until nothing comes any more.
    void complete_all() {
        while (volume.in_flight() > 0) volume.complete_all();
    }

    storage::MemoryVolume volume;

private:
    std::optional<DiskUnit> disk_;
    std::optional<DiskUser> user_;
};

} // namespace touka::scsi
