// REGISTER, REGISTER AND IGNORE EXISTING KEY, REGISTER AND MOVE. (SPC-5 §5.14.7, §5.14.8)
#include <algorithm>

#include "scsi/reservation/persistent_reservations.hpp"

namespace touka::scsi {

namespace {

namespace wire = spec::scsi::persistent_reserve_out;

ReservationRefusal conflict() { return {}; }

ReservationRefusal invalid_parameter(std::size_t offset, std::optional<std::uint8_t> bit = {}) {
    return {Sense::invalid_field_in_parameters(static_cast<std::uint16_t>(offset), bit)};
}

ReservationRefusal too_many() { return {Sense::illegal_request(SenseCode::kInsufficientRegistrationResources)}; }

/// The target ports that a request is about, the one that it came through first.
std::vector<RelativeTargetPort> ports_of(const NexusName& sender, const RegisterRequest& request) {
    std::vector<RelativeTargetPort> ports{sender.target_port};
    for (const RelativeTargetPort port : request.target_ports) {
        if (std::ranges::find(ports, port) == ports.end()) ports.push_back(port);
    }
    return ports;
}

} // namespace

/// Tables of register behaviours: first what the sender's own nexus allows, then the others as if each had sent the
/// request itself; all of it happens or none.
ReservationOutcome PersistentReservations::register_nexus(const NexusName& sender,
                                                          const RegisterRequest& request) const {
    const auto registered = state_.registrations.find(sender);
    if (registered == state_.registrations.end()) {
        if (request.key.value_or(0) != 0) return std::unexpected(conflict());
        if (request.new_key == 0) return ReservationChange{.next = state_};
        return add_registrations(sender, request);
    }
    if (request.key && *request.key != registered->second) return std::unexpected(conflict());
    if (request.names_initiators) return std::unexpected(invalid_parameter(wire::kFlagsOffset, std::uint8_t{3}));
    return change_registrations(sender, request);
}

ReservationOutcome PersistentReservations::add_registrations(const NexusName& sender,
                                                             const RegisterRequest& request) const {
    ReservationChange change{.next = state_, .counts = true};
    change.next.persists = request.persists;
    const auto add = [&](const NexusName& nexus) {
        if (request.key && state_.registrations.contains(nexus)) return false;
        change.next.registrations[nexus] = request.new_key;
        return true;
    };
    for (const RelativeTargetPort port : ports_of(sender, request)) {
        if (!add({sender.initiator, port})) return std::unexpected(conflict());
        for (const InitiatorPort& initiator : request.initiators) {
            if (!add({initiator, port})) return std::unexpected(conflict());
            if (change.next.registrations.size() > registration_limit_) return std::unexpected(too_many());
        }
    }
    if (change.next.registrations.size() > registration_limit_) return std::unexpected(too_many());
    return change;
}

ReservationOutcome PersistentReservations::change_registrations(const NexusName& sender,
                                                                const RegisterRequest& request) const {
    ReservationChange change{.next = state_, .counts = true};
    change.next.persists = request.persists;
    for (const RelativeTargetPort port : ports_of(sender, request)) {
        const NexusName nexus{sender.initiator, port};
        const auto registered = state_.registrations.find(nexus);
        if (registered != state_.registrations.end() && request.key && registered->second != *request.key) {
            return std::unexpected(conflict());
        }
        if (request.new_key != 0) {
            change.next.registrations[nexus] = request.new_key;
        } else if (registered != state_.registrations.end()) {
            unregister(change, nexus, sender);
        }
    }
    if (change.next.registrations.size() > registration_limit_) return std::unexpected(too_many());
    // Ports of the sender that were told of the release and then went themselves have nothing to learn.
    std::erase_if(change.attentions, [&](const auto& told) { return !change.next.registrations.contains(told.first); });
    return change;
}

ReservationOutcome PersistentReservations::register_and_move(const NexusName& sender,
                                                             const RegisterAndMoveRequest& request) const {
    if (!has_key(sender, request.key)) return std::unexpected(conflict());
    // An all registrants reservation is everybody's already and cannot be moved.
    if (!state_.holds(sender) || is_all_registrants(state_.reservation->type)) return std::unexpected(conflict());
    if (request.new_key == 0) return std::unexpected(invalid_parameter(wire::kServiceActionKeyOffset));
    if (request.destination == sender) return std::unexpected(invalid_parameter(wire::kMoveTransportIdOffset));

    ReservationChange change{.next = state_, .counts = true};
    change.next.persists = request.persists;
    change.next.registrations[request.destination] = request.new_key;
    if (change.next.registrations.size() > registration_limit_) return std::unexpected(too_many());
    change.next.reservation->holder = request.destination;
    if (request.unregister) change.next.registrations.erase(sender);
    return change;
}

} // namespace touka::scsi
