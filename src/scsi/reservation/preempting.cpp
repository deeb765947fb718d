// PREEMPT and PREEMPT AND ABORT. (SPC-5 §5.14.11.4 to §5.14.11.6)
#include "scsi/reservation/persistent_reservations.hpp"

namespace touka::scsi {

namespace wire = spec::scsi::persistent_reserve_out;

/// (SPC-5 §5.14.11.4 table 73 "Preempting actions")
ReservationOutcome PersistentReservations::preempt(const NexusName& sender, ReservationKey key,
                                                   ReservationKey preempted_key,
                                                   std::optional<ReservationType> type) const {
    if (!has_key(sender, key)) return std::unexpected(ReservationRefusal{});
    const bool all_registrants = state_.reservation && is_all_registrants(state_.reservation->type);
    if (preempted_key == 0 && !all_registrants) {
        return std::unexpected(ReservationRefusal{Sense::invalid_field_in_parameters(wire::kServiceActionKeyOffset)});
    }
    const bool takes_reservation =
        all_registrants ? preempted_key == 0 : state_.reservation && has_key(state_.reservation->holder, preempted_key);
    if (!takes_reservation) return remove_registrations(sender, preempted_key);
    if (!type) return std::unexpected(ReservationRefusal{Sense::invalid_field_in_cdb(2)});
    return preempt_reservation(sender, preempted_key, *type);
}

/// The sender takes the reservation over; its own registration stays, even under the key that is preempted.
ReservationOutcome PersistentReservations::preempt_reservation(const NexusName& sender, ReservationKey preempted_key,
                                                               ReservationType type) const {
    ReservationChange change{.next = state_, .counts = true};
    const bool type_changes = state_.reservation->type != type;
    for (const auto& [nexus, registered] : state_.registrations) {
        const bool concerned = preempted_key == 0 ? nexus != sender : registered == preempted_key;
        if (concerned) change.preempted.push_back(nexus);
        if (nexus == sender) continue;
        if (concerned) {
            change.next.registrations.erase(nexus);
            change.attentions.emplace_back(nexus, SenseCode::kRegistrationsPreempted);
        } else if (type_changes) {
            change.attentions.emplace_back(nexus, SenseCode::kReservationsReleased);
        }
    }
    change.next.reserve(type, sender);
    return change;
}

/// Those with the key go, the sender among them when it is its own; the reservation stays with its holder.
ReservationOutcome PersistentReservations::remove_registrations(const NexusName& sender,
                                                                ReservationKey preempted_key) const {
    ReservationChange change{.next = state_, .counts = true};
    for (const auto& [nexus, registered] : state_.registrations) {
        if (registered != preempted_key) continue;
        change.preempted.push_back(nexus);
        if (nexus != sender) change.attentions.emplace_back(nexus, SenseCode::kRegistrationsPreempted);
        unregister(change, nexus, sender); // an all registrants reservation may lose its last holder
    }
    if (change.preempted.empty()) return std::unexpected(ReservationRefusal{});
    return change;
}

} // namespace touka::scsi
