#include "scsi/changer/changer_unit.hpp"

#include <cassert>

#include "scsi/changer/element_status.hpp"
#include "scsi/device_server/primary_commands.hpp"
#include "scsi/parameter_data.hpp"
#include "spec/scsi/operation.hpp"

namespace touka::scsi {

using namespace spec::scsi;

namespace {

ModePage fixed_page(std::vector<std::uint8_t> content) {
    ModePage page;
    page.changeable.resize(content.size());
    page.current = std::move(content);
    return page;
}

} // namespace

ChangerUnit::ChangerUnit(std::unique_ptr<TapeWorker> worker, Configuration configuration, Inventory inventory,
                         std::unique_ptr<InventoryStore> store, std::vector<TapeUnit*> drives)
    : inquiry_(server_, std::move(configuration.identity),
               {.type = PeripheralDeviceType::kMediaChanger, .removable = true, .version_descriptors = {}},
               std::move(configuration.ports)),
      modes_(server_, {.device_specific = [] { return std::uint8_t{0}; },
                       .set_device_specific = {},
                       .block_descriptor = {},
                       .set_block_descriptor = {}}),
      removal_(server_), inventory_(std::move(inventory)), store_(std::move(store)), drives_(std::move(drives)),
      worker_(std::move(worker)) {
    assert(drives_.size() == inventory_.geometry().drives);
    add_primary_commands(server_);
    add_report_supported(server_);
    add_mode_pages();
    add_commands();
}

ChangerUnit::~ChangerUnit() = default;

void ChangerUnit::add_mode_pages() {
    const LibraryGeometry& geometry = inventory_.geometry();
    ParameterData addresses;
    // The page has an order of its own. (SMC-3 §7.3.3)
    for (const ElementType type : {ElementType::kMediumTransport, ElementType::kStorage, ElementType::kImportExport,
                                   ElementType::kDataTransfer}) {
        for (const ElementRange& range : geometry.ranges()) {
            if (range.type == type) addresses.number(range.count == 0 ? 0 : range.first, 2).number(range.count, 2);
        }
    }
    modes_.add_page(changer_page::kElementAddressAssignment, 0, fixed_page(addresses.zeros(2).take()));
    modes_.add_page(changer_page::kTransportGeometry, 0, fixed_page({0, 0})); // nothing rotates
    // Media stay anywhere but in the robot, and can be moved and exchanged between all those places. (SMC-3 §7.3.2)
    constexpr std::uint8_t kPlaces = element_bit::ST | element_bit::IE | element_bit::DT;
    modes_.add_page(
        changer_page::kDeviceCapabilities, 0,
        fixed_page({kPlaces, 0, 0, kPlaces, kPlaces, kPlaces, 0, 0, 0, 0, 0, kPlaces, kPlaces, kPlaces, 0, 0, 0, 0}));
}

void ChangerUnit::add_commands() {
    using namespace operation;
    const auto add = [this](std::vector<std::uint8_t> usage, ReservationClass (*rule)(const Cdb&),
                            std::function<void(Task&)> execute) {
        server_.add({.usage = usage, .reservation = rule, .execute = std::move(execute)});
    };
    // Linux's ch driver and mtx put the LUN into byte 1, where SCSI-2 had it; it is not looked at.
    constexpr std::uint8_t kLun = 0xE0;
    // CURDATA makes no difference: what is where is always known.
    add({kReadElementStatus, 0x1F | kLun, 0xFF, 0xFF, 0xFF, 0xFF, 0x03, 0xFF, 0xFF, 0xFF, 0, 0}, reads_only,
        [this](Task& task) { read_element_status(task); });
    add({kInitializeElementStatus, kLun, 0, 0, 0, 0}, reads_only, [this](Task& task) { server_.good(task); });
    add({kInitializeElementStatusWithRange, 0x03 | kLun, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF, 0, 0}, reads_only,
        [this](Task& task) { initialize_element_status_with_range(task); });
    add({kPositionToElement, kLun, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0}, reads_only,
        [this](Task& task) { position_to_element(task); });
    add({kMoveMedium, kLun, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0}, changes_unit,
        [this](Task& task) { move_medium(task); });
    add({kExchangeMedium, kLun, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0}, changes_unit,
        [this](Task& task) { exchange_medium(task); });
}

/// 0 is the default robot, which is the only one.
bool ChangerUnit::is_robot(std::uint64_t address) const { return address == 0 || address == LibraryGeometry::kRobot; }

TapeUnit* ChangerUnit::drive_at(ElementAddress element) const {
    if (inventory_.geometry().type_of(element) != ElementType::kDataTransfer) return nullptr;
    return drives_[std::size_t{element} - LibraryGeometry::kFirstDrive];
}

void ChangerUnit::read_element_status(Task& task) {
    const Cdb& cdb = task.cdb;
    ElementStatusRequest request;
    const auto type = static_cast<std::uint8_t>(cdb[1] & 0x0F);
    if (type > static_cast<std::uint8_t>(ElementType::kDataTransfer)) {
        return server_.check(task, Sense::invalid_field_in_cdb(1, std::uint8_t{3}));
    }
    request.type = static_cast<ElementType>(type);
    request.volume_tags = cdb.bit(1, 4);
    request.first = static_cast<ElementAddress>(cdb.number(2, 2));
    request.count = static_cast<std::uint16_t>(cdb.number(4, 2));
    request.device_identifiers = cdb.bit(6, 0);
    request.allocation_bytes = static_cast<std::uint32_t>(cdb.number(7, 3));
    const auto data = element_status(inventory_, request, [this](std::size_t number) {
        return DriveStatus{drives_[number]->identity(), !drives_[number]->removal_prevented()};
    });
    server_.reply(task, data, request.allocation_bytes);
}

/// RANGE 0 is all elements. (SMC-3 §6.5)
void ChangerUnit::initialize_element_status_with_range(Task& task) {
    const bool range = task.cdb.bit(1, 0);
    const auto first = static_cast<ElementAddress>(task.cdb.number(2, 2));
    if (range && inventory_.geometry().type_of(first) == ElementType::kAll) {
        return server_.check(task, Sense::illegal_request(SenseCode::kInvalidElementAddress));
    }
    server_.good(task);
}

void ChangerUnit::position_to_element(Task& task) {
    const auto to = static_cast<ElementAddress>(task.cdb.number(4, 2));
    if (!is_robot(task.cdb.number(2, 2)) || inventory_.geometry().type_of(to) == ElementType::kAll) {
        return server_.check(task, Sense::illegal_request(SenseCode::kInvalidElementAddress));
    }
    server_.good(task);
}

void ChangerUnit::move_medium(Task& task) {
    const auto from = static_cast<ElementAddress>(task.cdb.number(4, 2));
    const auto to = static_cast<ElementAddress>(task.cdb.number(6, 2));
    if (!is_robot(task.cdb.number(2, 2))) {
        return server_.check(task, Sense::illegal_request(SenseCode::kInvalidElementAddress));
    }
    relocate(
        [this, from, to] { return inventory_.plan_move(from, to); },
        [this, &task](const std::optional<Sense>& sense) { sense ? server_.check(task, *sense) : server_.good(task); });
}

void ChangerUnit::exchange_medium(Task& task) {
    const auto from = static_cast<ElementAddress>(task.cdb.number(4, 2));
    const auto first_to = static_cast<ElementAddress>(task.cdb.number(6, 2));
    const auto second_to = static_cast<ElementAddress>(task.cdb.number(8, 2));
    if (!is_robot(task.cdb.number(2, 2))) {
        return server_.check(task, Sense::illegal_request(SenseCode::kInvalidElementAddress));
    }
    relocate(
        [this, from, first_to, second_to] { return inventory_.plan_exchange(from, first_to, second_to); },
        [this, &task](const std::optional<Sense>& sense) { sense ? server_.check(task, *sense) : server_.good(task); });
}

} // namespace touka::scsi
