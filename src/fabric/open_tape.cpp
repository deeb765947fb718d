#include <fmt/format.h>

#include "fabric/kept_reservations.hpp"
#include "fabric/open_unit.hpp"
#include "scsi/changer/changer_unit.hpp"
#include "scsi/tape/tape_unit.hpp"

namespace touka::fabric {

namespace {

scsi::Cartridge cartridge_of(const CartridgeConfig& config) {
    return {.path = config.path,
            .barcode = config.barcode,
            .capacity = {.capacity_bytes = config.capacity_bytes, .early_warning_bytes = config.early_warning_bytes},
            .write_protected = config.write_protected};
}

class OpenTape final : public OpenUnit {
public:
    [[nodiscard]] scsi::DeviceServer& server() override { return unit->server(); }
    [[nodiscard]] scsi::TapeUnit* tape() override { return unit.get(); }

    std::unique_ptr<scsi::TapeUnit> unit;
    std::unique_ptr<KeptReservations> reservations;
};

class OpenChanger final : public OpenUnit {
public:
    [[nodiscard]] scsi::DeviceServer& server() override { return unit->server(); }

    std::unique_ptr<scsi::ChangerUnit> unit;
    std::unique_ptr<KeptReservations> reservations;
};

} // namespace

OpenedUnit open_unit(const UnitConfig& config, const TapeUnitConfig& tape, const UnitContext& context) {
    auto open = std::make_unique<OpenTape>();
    open->unit = std::make_unique<scsi::TapeUnit>(
        std::make_unique<scsi::TapeThread>(context.reactor, "tape"),
        scsi::TapeUnit::Configuration{.identity = identity_of(config, "TAPE"), .ports = context.ports});
    auto reservations = KeptReservations::open(config.name, open->unit->server(), context);
    if (!reservations) return std::unexpected(reservations.error());
    open->reservations = std::move(*reservations);
    if (tape.cartridge) {
        open->unit->insert(cartridge_of(*tape.cartridge),
                           [notice = context.notice, name = config.name](std::expected<void, std::string> inserted) {
                               if (!inserted) notice(fmt::format("unit \"{}\": {}", name, inserted.error()));
                           });
    }
    return open;
}

OpenedUnit open_unit(const UnitConfig& config, const ChangerUnitConfig& changer, const UnitContext& context) {
    const auto failure = [&](const std::string& text) {
        return std::unexpected(fmt::format("unit \"{}\": {}", config.name, text));
    };
    std::vector<scsi::TapeUnit*> drives;
    for (const std::string& name : changer.drives) {
        scsi::TapeUnit* const drive = context.find_drive(name);
        if (drive == nullptr) return failure(fmt::format("there is no tape drive \"{}\"", name));
        drives.push_back(drive);
    }
    const scsi::LibraryGeometry geometry{.slots = changer.slots,
                                         .import_export = changer.import_export,
                                         .drives = static_cast<std::uint16_t>(drives.size())};
    std::vector<scsi::InventoryFile::Configured> cartridges;
    for (const CartridgeConfig& cartridge : changer.cartridges) {
        const auto element = cartridge.slot ? scsi::LibraryGeometry::kFirstSlot + *cartridge.slot : 0u;
        cartridges.push_back({cartridge_of(cartridge), static_cast<scsi::ElementAddress>(element)});
    }
    const std::string path =
        context.state_folder.empty() ? std::string() : context.state_path(config.name, "inventory");
    auto store = std::make_unique<scsi::InventoryFile>(path);
    auto inventory = store->load(geometry, cartridges);
    if (!inventory) return failure(inventory.error());

    auto open = std::make_unique<OpenChanger>();
    open->unit = std::make_unique<scsi::ChangerUnit>(
        std::make_unique<scsi::TapeThread>(context.reactor, "changer"),
        scsi::ChangerUnit::Configuration{.identity = identity_of(config, "LIBRARY"), .ports = context.ports},
        std::move(*inventory), std::move(store), std::move(drives));
    auto reservations = KeptReservations::open(config.name, open->unit->server(), context);
    if (!reservations) return std::unexpected(reservations.error());
    open->reservations = std::move(*reservations);
    open->unit->load_drives(context.notice);
    return open;
}

} // namespace touka::fabric
