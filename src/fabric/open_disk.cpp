#include <fmt/format.h>

#include <utility>

#include "fabric/kept_reservations.hpp"
#include "fabric/open_unit.hpp"
#include "scsi/copy/copy_manager.hpp"
#include "scsi/disk/disk_unit.hpp"
#include "storage/open_when_free.hpp"
#include "storage/raw_file.hpp"
#include "storage/side_file.hpp"

namespace touka::fabric {

namespace {

/// A file and the queue through which a unit uses it.
struct Volume {
    std::unique_ptr<storage::RawFile> file;
    std::unique_ptr<storage::BlockDevice> queue;
    [[nodiscard]] bool in_flight() const { return queue != nullptr && queue->in_flight() > 0; }
};
using OpenedVolume = std::expected<Volume, std::string>;

template <class Open>
OpenedVolume open_volume(runtime::Reactor& reactor, Open open) {
    auto file = storage::open_when_free(std::move(open));
    if (!file) return std::unexpected(file.error().text);
    Volume volume{.file = std::move(*file), .queue = nullptr};
    volume.queue = volume.file->open_queue(reactor);
    return volume;
}

OpenedVolume open_side_file(const std::string& path, std::uint64_t size_bytes, storage::SideFileSpace space,
                            runtime::Reactor& reactor) {
    return open_volume(reactor, [&] { return storage::open_side_file(path, size_bytes, space); });
}

class OpenDisk final : public OpenUnit {
public:
    [[nodiscard]] scsi::DeviceServer& server() override { return unit->server(); }
    [[nodiscard]] scsi::DiskUnit* disk() override { return unit.get(); }
    void stop(std::function<void()> done) override { unit->stop(std::move(done)); }
    [[nodiscard]] bool stuck() override {
        return !server().idle() || journal.in_flight() || protection.in_flight() || volume.in_flight();
    }

    // Destroyed from the end: what is in flight still has its unit when a queue waits for it.
    std::unique_ptr<scsi::DiskUnit> unit;
    std::unique_ptr<KeptReservations> reservations;
    std::unique_ptr<scsi::CopyManager> copies;
    Volume journal, protection, volume;
};

} // namespace

OpenedUnit open_unit(const UnitConfig& config, const DiskUnitConfig& disk, const UnitContext& context) {
    const auto failure = [&](const std::string& text) {
        return std::unexpected(fmt::format("unit \"{}\": {}", config.name, text));
    };
    auto open = std::make_unique<OpenDisk>();
    storage::RawFile::Options options;
    options.read_only = disk.read_only;
    options.direct = disk.direct;
    auto volume = open_volume(context.reactor, [&] { return storage::RawFile::open(disk.path, options); });
    if (!volume) return failure(volume.error());
    open->volume = std::move(*volume);

    scsi::DiskOptions unit{.identity = identity_of(config, "DISK"),
                           .ports = context.ports,
                           .block_bytes = disk.block_bytes,
                           .physical_block_bytes = disk.physical_block_bytes,
                           .removable = disk.removable,
                           .rotating = disk.rotating,
                           .long_commands = disk.long_commands};
    if (!context.state_folder.empty() && !disk.read_only) {
        auto journal = open_side_file(context.state_path(config.name, "atomic"), scsi::AtomicJournal::kUsualFileBytes,
                                      storage::SideFileSpace::kReserved, context.reactor);
        if (!journal) return failure(journal.error());
        open->journal = std::move(*journal);
        unit.atomic_journal = open->journal.queue.get();
    }
    if (disk.protection_type != 0) {
        if (context.state_folder.empty()) return failure("protection information needs a state folder");
        const std::uint64_t blocks = open->volume.file->geometry().size_bytes / disk.block_bytes;
        auto protection =
            open_side_file(context.state_path(config.name, "protection"), scsi::ProtectionStore::file_bytes(blocks),
                           storage::SideFileSpace::kSparse, context.reactor);
        if (!protection) return failure(protection.error());
        open->protection = std::move(*protection);
        unit.protection = open->protection.queue.get();
        unit.protection_type = static_cast<scsi::ProtectionType>(disk.protection_type);
    }
    open->unit = std::make_unique<scsi::DiskUnit>(*open->volume.queue, std::move(unit));
    auto reservations = KeptReservations::open(config.name, open->unit->server(), context);
    if (!reservations) return std::unexpected(reservations.error());
    open->reservations = std::move(*reservations);
    if (context.copies != nullptr) open->copies = std::make_unique<scsi::CopyManager>(*open->unit, *context.copies);
    return open;
}

} // namespace touka::fabric
