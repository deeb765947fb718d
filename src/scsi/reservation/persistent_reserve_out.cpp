// How PERSISTENT RESERVE OUT comes from a task to the model and what follows. (SPC-5 §6.17)
#include <algorithm>
#include <set>

#include "scsi/reservation/reservation_commands.hpp"

namespace touka::scsi {

namespace {

namespace out = spec::scsi::persistent_reserve_out;

std::unexpected<ReservationRefusal> refuse(const Sense& sense) { return std::unexpected(ReservationRefusal{sense}); }

/// SCOPE and TYPE; nothing when there is no such reservation.
std::optional<ReservationType> type_of(const Cdb& cdb) {
    if (cdb[2] >> 4 != spec::scsi::kLogicalUnitScope) return std::nullopt;
    return reservation_type(cdb[2] & 0x0F);
}

} // namespace

void ReservationCommands::persistent_reserve_out(Task& task) {
    if (unit_.holder()) return server_.finish(task, Status::kReservationConflict); // SPC-2 §5.5.1
    const std::size_t length = task.cdb.number(5, 4);
    const Sense wrong_length = Sense::illegal_request(SenseCode::kParameterListLengthError);
    if (length > kReserveOutLimitBytes) return server_.check(task, wrong_length);
    const std::vector<std::uint8_t> list = DeviceServer::parameters(task, length);
    if (list.size() != length) return server_.check(task, wrong_length);

    const ReservationOutcome outcome = execute(task, list);
    if (!outcome) {
        const auto& sense = outcome.error().sense;
        return sense ? server_.check(task, *sense) : server_.finish(task, Status::kReservationConflict);
    }
    if (!save(outcome->next)) {
        return server_.check(task, Sense::of(SenseKey::kHardwareError, SenseCode::kInternalTargetFailure));
    }
    carry_out(task, *outcome);
}

ReservationOutcome ReservationCommands::execute(const Task& task, std::span<const std::uint8_t> list) const {
    const NexusName& sender = task.nexus->name;
    const std::uint16_t action = task.cdb.service_action();
    if (action == out::kRegisterAndMove) return execute_move(sender, list);
    auto parameters = parse_reserve_out(list, action);
    if (!parameters) return refuse(parameters.error());
    switch (action) {
        case out::kRegister: return execute_register(sender, *std::move(parameters), false);
        case out::kRegisterAndIgnoreExistingKey: return execute_register(sender, *std::move(parameters), true);
        case out::kReserve: return persistent_.reserve(sender, parameters->key, type_of(task.cdb));
        case out::kRelease: return persistent_.release(sender, parameters->key, type_of(task.cdb));
        case out::kClear: return persistent_.clear(sender, parameters->key);
        default: return persistent_.preempt(sender, parameters->key, parameters->action_key, type_of(task.cdb));
    }
}

ReservationOutcome ReservationCommands::execute_register(const NexusName& sender, ReserveOutParameters parameters,
                                                         bool ignore_existing) const {
    if (parameters.persists && configuration_.journal == nullptr) {
        return refuse(Sense::invalid_field_in_parameters(out::kFlagsOffset, std::uint8_t{0}));
    }
    auto initiators = initiator_ports(parameters.initiators);
    if (!initiators) return refuse(initiators.error());
    RegisterRequest request{.key = parameters.key,
                            .new_key = parameters.action_key,
                            .persists = parameters.persists,
                            .names_initiators = parameters.names_initiators};
    if (ignore_existing) request.key.reset();
    // The sender is registered in any case; its TransportID in the list says nothing new.
    std::erase(*initiators, sender.initiator);
    request.initiators = *std::move(initiators);
    if (parameters.all_target_ports) request.target_ports = configuration_.target_ports;
    return persistent_.register_nexus(sender, request);
}

ReservationOutcome ReservationCommands::execute_move(const NexusName& sender,
                                                     std::span<const std::uint8_t> list) const {
    auto parameters = parse_register_and_move(list);
    if (!parameters) return refuse(parameters.error());
    if (parameters->persists && configuration_.journal == nullptr) {
        return refuse(Sense::invalid_field_in_parameters(out::kMoveFlagsOffset, std::uint8_t{0}));
    }
    const auto& ports = configuration_.target_ports;
    const bool known = parameters->target_port == sender.target_port ||
                       std::ranges::find(ports, parameters->target_port) != ports.end();
    RegisterAndMoveRequest request{.key = parameters->key,
                                   .new_key = parameters->action_key,
                                   .destination = {std::move(parameters->initiator.port), parameters->target_port},
                                   .unregister = parameters->unregister,
                                   .persists = parameters->persists};
    auto outcome = persistent_.register_and_move(sender, request);
    // Conflicts come first: who may not move learns nothing about ports.
    if (outcome && !known) return refuse(Sense::invalid_field_in_parameters(out::kMoveTargetPortOffset));
    return outcome;
}

std::expected<std::vector<InitiatorPort>, Sense>
ReservationCommands::initiator_ports(const std::vector<TransportId>& ids) const {
    std::set<InitiatorPort> ports, devices;
    for (const TransportId& id : ids) (id.whole_device ? devices : ports).insert(id.port);
    if (!devices.empty()) {
        std::set<InitiatorPort> found;
        const auto look_at = [&](const InitiatorPort& port) {
            const InitiatorPort device{port.protocol, std::string(iscsi_device_name(port.name))};
            if (!devices.contains(device)) return;
            found.insert(device);
            ports.insert(port);
        };
        for (const NexusName& nexus : server_.attentions().attached()) look_at(nexus.initiator);
        for (const auto& [nexus, key] : persistent_.state().registrations) look_at(nexus.initiator);
        if (found != devices) {
            return std::unexpected(Sense::invalid_field_in_parameters(out::kTransportIdsOffset));
        }
    }
    return std::vector<InitiatorPort>(ports.begin(), ports.end());
}

/// @return false when the state could not be saved and would be another after a loss of power.
bool ReservationCommands::save(const PersistentReservationsState& next) {
    const auto& state = persistent_.state();
    const bool matters = next.persists || state.persists;
    if (configuration_.journal == nullptr || (!journal_failure_ && (!matters || next == state))) return true;
    const auto saved = configuration_.journal->save(next);
    journal_failure_ = saved ? std::nullopt : std::optional(saved.error());
    return saved.has_value();
}

void ReservationCommands::carry_out(Task& task, const ReservationChange& change) {
    persistent_.apply(change);
    for (const auto& [nexus, code] : change.attentions) server_.attentions().establish(nexus, code);
    if (task.cdb.service_action() != out::kPreemptAndAbort) return server_.good(task);
    server_.abort_tasks_of(change.preempted, &task, [this, &task] { server_.good(task); });
}

} // namespace touka::scsi
