#include "scsi/reservation/reservation_commands.hpp"

#include "scsi/reservation/persistent_reserve_in_data.hpp"
#include "spec/scsi/operation.hpp"
#include "spec/scsi/persistent_reservation.hpp"

namespace touka::scsi {

namespace {

namespace operation = spec::scsi::operation;
namespace in = spec::scsi::persistent_reserve_in;
namespace out = spec::scsi::persistent_reserve_out;

} // namespace

ReservationCommands::ReservationCommands(DeviceServer& server, ReservationConfiguration configuration)
    : server_(server), configuration_(std::move(configuration)), persistent_(configuration_.registration_limit) {
    add_persistent_reserve();
    add_reserve_and_release();
    server_.set_reservations(unit_);
    server_.set_reservations(persistent_);
    server_.add_observer(unit_);
}

/// What conflicts with a persistent reservation depends on keys and registrations, so that the service actions find out
/// by themselves. (SPC-5 §5.14.1 table 71)
void ReservationCommands::add_persistent_reserve() {
    for (std::uint16_t action = in::kReadKeys; action <= in::kReadFullStatus; ++action) {
        server_.add({.service_action = action,
                     .usage = {operation::kPersistentReserveIn, 0x1F, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0},
                     .reservation = always_allowed,
                     .despite_not_ready = true,
                     .execute = [this](Task& task) { persistent_reserve_in(task); }});
    }
    for (std::uint16_t action = out::kRegister; action <= out::kRegisterAndMove; ++action) {
        server_.add({.service_action = action,
                     .usage = {operation::kPersistentReserveOut, 0x1F, 0xFF, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0},
                     .reservation = always_allowed,
                     .despite_not_ready = true,
                     .execute = [this](Task& task) { persistent_reserve_out(task); }});
    }
}

void ReservationCommands::add_reserve_and_release() {
    const auto add = [this](std::uint8_t code, std::size_t length, void (ReservationCommands::*action)(Task&)) {
        std::vector<std::uint8_t> usage(length);
        usage[0] = code; // no extents, no third parties, no parameter list
        server_.add({.usage = std::move(usage),
                     .reservation = always_allowed,
                     .despite_not_ready = true,
                     .execute = [this, action](Task& task) { (this->*action)(task); }});
    };
    add(operation::kReserve6, 6, &ReservationCommands::reserve);
    add(operation::kReserve10, 10, &ReservationCommands::reserve);
    add(operation::kRelease6, 6, &ReservationCommands::release);
    add(operation::kRelease10, 10, &ReservationCommands::release);
}

void ReservationCommands::persistent_reserve_in(Task& task) {
    // Under RESERVE they conflict for the nexus that has it, too. (SPC-2 §5.5.1)
    if (unit_.holder()) return server_.finish(task, Status::kReservationConflict);
    const std::uint64_t allocation_length = task.cdb.number(7, 2);
    switch (task.cdb.service_action()) {
        case in::kReadKeys: return server_.reply(task, read_keys_data(persistent_), allocation_length);
        case in::kReadReservation: return server_.reply(task, read_reservation_data(persistent_), allocation_length);
        case in::kReportCapabilities:
            return server_.reply(task, report_capabilities_data(persistent_, configuration_.journal != nullptr),
                                 allocation_length);
        default: return server_.reply(task, read_full_status_data(persistent_), allocation_length);
    }
}

/// (SPC-5 §5.14.1 "Exceptions to SPC-2 RESERVE and RELEASE behavior"): whom the persistent reservation lets in anyway.
bool ReservationCommands::is_compatible(const NexusName& nexus) const {
    const auto& state = persistent_.state();
    if (!state.reservation) return false;
    return state.holds(nexus) || (includes_registrants(state.reservation->type) && persistent_.is_registered(nexus));
}

void ReservationCommands::reserve(Task& task) {
    const NexusName& nexus = task.nexus->name;
    const bool persistent = !persistent_.state().registrations.empty();
    const bool granted = persistent ? is_compatible(nexus) : unit_.reserve(nexus);
    server_.finish(task, granted ? Status::kGood : Status::kReservationConflict);
}

void ReservationCommands::release(Task& task) {
    const NexusName& nexus = task.nexus->name;
    if (!persistent_.state().registrations.empty()) {
        return server_.finish(task, is_compatible(nexus) ? Status::kGood : Status::kReservationConflict);
    }
    unit_.release(nexus);
    server_.good(task);
}

} // namespace touka::scsi
