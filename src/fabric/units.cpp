#include "fabric/units.hpp"

#include <fmt/format.h>

#include <cctype>

#include "scsi/disk/disk_unit.hpp"
#include "scsi/reservation/reservation_commands.hpp"
#include "scsi/reservation/reservation_store.hpp"
#include "storage/raw_file.hpp"

namespace touka::fabric {

/// One unit and what it stands on; destroyed from the end.
struct Units::OpenUnit {
    OpenUnit() = default;
    /// What goes on without a task takes no further step when the volume completes what it has, as it does at its end.
    ~OpenUnit() {
        if (disk) disk->stop([] {});
    }
    OpenUnit(const OpenUnit&) = delete;
    OpenUnit& operator=(const OpenUnit&) = delete;

    UnitConfig config;
    std::unique_ptr<storage::RawFile> file;
    std::unique_ptr<scsi::ReservationStore> store;
    std::unique_ptr<scsi::DiskUnit> disk;
    std::unique_ptr<scsi::ReservationCommands> reservations;
    std::unique_ptr<storage::BlockDevice> volume;
};

namespace {

std::vector<scsi::RelativeTargetPort> numbers_of(const std::vector<scsi::TargetPort>& ports) {
    std::vector<scsi::RelativeTargetPort> numbers;
    for (const scsi::TargetPort& port : ports) numbers.push_back(port.relative);
    return numbers;
}

} // namespace

scsi::UnitIdentity identity_of(const UnitConfig& config, std::string_view product) {
    scsi::UnitIdentity identity;
    if (!config.vendor.empty()) identity.vendor = config.vendor;
    identity.product = config.product.empty() ? std::string(product) : config.product;
    identity.revision = config.revision.empty() ? "0.1" : config.revision;
    identity.serial = config.serial.empty() ? fmt::format("{:016x}", scsi::derive_naa(config.name)) : config.serial;
    identity.naa = scsi::derive_naa(identity.vendor + identity.product + identity.serial);
    return identity;
}

Units::Units(runtime::Reactor& reactor, std::string state_folder, std::vector<scsi::TargetPort> ports)
    : reactor_(reactor), state_folder_(std::move(state_folder)), ports_(std::move(ports)) {}

Units::~Units() = default;

std::string Units::state_path(const std::string& name, const char* extension) const {
    std::string file;
    for (const char c : name) { // any name becomes one of a file, and no two the same
        const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
        file += plain ? std::string(1, c) : fmt::format("%{:02x}", static_cast<unsigned char>(c));
    }
    return fmt::format("{}/{}.{}", state_folder_, file, extension);
}

std::expected<void, std::string> Units::open(const UnitConfig& config) {
    auto unit = std::visit([&](const auto& kind) { return open_disk(config, kind); }, config.kind);
    if (!unit) return std::unexpected(unit.error());
    (*unit)->config = config;
    units_[config.name] = std::move(*unit);
    return {};
}

std::expected<std::unique_ptr<Units::OpenUnit>, std::string> Units::open_disk(const UnitConfig& config,
                                                                              const DiskUnitConfig& disk) {
    auto unit = std::make_unique<OpenUnit>();
    storage::RawFile::Options options;
    options.read_only = disk.read_only;
    options.direct = disk.direct;
    auto file = storage::RawFile::open(disk.path, options);
    if (!file) return std::unexpected(fmt::format("unit \"{}\": {}", config.name, file.error().text));
    unit->file = std::move(*file);
    unit->volume = unit->file->open_queue(reactor_);
    unit->disk = std::make_unique<scsi::DiskUnit>(*unit->volume,
                                                  scsi::DiskOptions{.identity = identity_of(config, "DISK"),
                                                                    .ports = ports_,
                                                                    .block_bytes = disk.block_bytes,
                                                                    .physical_block_bytes = disk.physical_block_bytes,
                                                                    .removable = disk.removable,
                                                                    .rotating = disk.rotating});
    scsi::ReservationConfiguration reservations{.target_ports = numbers_of(ports_)};
    scsi::PersistentReservationsState saved;
    if (!state_folder_.empty()) {
        unit->store = std::make_unique<scsi::ReservationStore>(state_path(config.name, "reservations"));
        auto loaded = unit->store->load();
        if (!loaded) return std::unexpected(fmt::format("unit \"{}\": {}", config.name, loaded.error().text));
        saved = std::move(*loaded);
        reservations.journal = unit->store.get();
    }
    unit->reservations = std::make_unique<scsi::ReservationCommands>(unit->disk->server(), std::move(reservations));
    unit->reservations->restore(std::move(saved));
    return unit;
}

void Units::close(const std::string& name) { units_.erase(name); }

scsi::LogicalUnit* Units::find(const std::string& name) const {
    const auto found = units_.find(name);
    return found == units_.end() ? nullptr : &found->second->disk->unit();
}

const UnitConfig* Units::config(const std::string& name) const {
    const auto found = units_.find(name);
    return found == units_.end() ? nullptr : &found->second->config;
}

std::vector<std::string> Units::names() const {
    std::vector<std::string> names;
    for (const auto& [name, unit] : units_) names.push_back(name);
    return names;
}

bool Units::idle(const std::string& name) const { return units_.at(name)->disk->server().idle(); }

const scsi::DeviceServerCounters& Units::counters(const std::string& name) const {
    return units_.at(name)->disk->server().counters();
}

} // namespace touka::fabric
