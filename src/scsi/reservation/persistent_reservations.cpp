#include "scsi/reservation/persistent_reservations.hpp"

namespace touka::scsi {

bool is_all_registrants(ReservationType type) {
    using enum ReservationType;
    return type == kWriteExclusiveAllRegistrants || type == kExclusiveAccessAllRegistrants;
}

bool is_exclusive_access(ReservationType type) {
    using enum ReservationType;
    return type == kExclusiveAccess || type == kExclusiveAccessRegistrantsOnly ||
           type == kExclusiveAccessAllRegistrants;
}

bool includes_registrants(ReservationType type) {
    using enum ReservationType;
    return type != kWriteExclusive && type != kExclusiveAccess;
}

std::optional<ReservationType> reservation_type(std::uint8_t code) {
    switch (code) {
        case 0x1:
        case 0x3:
        case 0x5:
        case 0x6:
        case 0x7:
        case 0x8: return static_cast<ReservationType>(code);
        default: return std::nullopt;
    }
}

bool PersistentReservationsState::holds(const NexusName& nexus) const {
    if (!reservation) return false;
    return is_all_registrants(reservation->type) ? registrations.contains(nexus) : reservation->holder == nexus;
}

void PersistentReservationsState::reserve(ReservationType type, const NexusName& holder) {
    reservation = {.type = type, .holder = is_all_registrants(type) ? NexusName{} : holder};
}

bool PersistentReservations::conflicts(const NexusName& nexus, ReservationClass command) const {
    if (!state_.reservation || command == ReservationClass::kExempt || command == ReservationClass::kAllowed)
        return false;
    const ReservationType type = state_.reservation->type;
    if (command == ReservationClass::kReads && !is_exclusive_access(type)) return false;
    return !state_.holds(nexus) && !(includes_registrants(type) && is_registered(nexus));
}

bool PersistentReservations::has_key(const NexusName& nexus, ReservationKey key) const {
    const auto found = state_.registrations.find(nexus);
    return found != state_.registrations.end() && found->second == key;
}

ReservationOutcome PersistentReservations::reserve(const NexusName& sender, ReservationKey key,
                                                   std::optional<ReservationType> type) const {
    if (!has_key(sender, key)) return std::unexpected(ReservationRefusal{});
    if (!type) return std::unexpected(ReservationRefusal{Sense::invalid_field_in_cdb(2)});
    ReservationChange change{.next = state_};
    if (!state_.reservation) {
        change.next.reserve(*type, sender);
    } else if (!state_.holds(sender) || state_.reservation->type != type) {
        return std::unexpected(ReservationRefusal{});
    }
    return change;
}

ReservationOutcome PersistentReservations::release(const NexusName& sender, ReservationKey key,
                                                   std::optional<ReservationType> type) const {
    if (!has_key(sender, key)) return std::unexpected(ReservationRefusal{});
    ReservationChange change{.next = state_};
    if (!state_.holds(sender)) return change;
    if (state_.reservation->type != type) {
        return std::unexpected(
            ReservationRefusal{Sense::illegal_request(SenseCode::kInvalidReleaseOfPersistentReservation)});
    }
    change.next.reservation.reset();
    if (!includes_registrants(*type)) return change;
    for (const auto& [nexus, registered] : state_.registrations) {
        if (nexus != sender) change.attentions.emplace_back(nexus, SenseCode::kReservationsReleased);
    }
    return change;
}

ReservationOutcome PersistentReservations::clear(const NexusName& sender, ReservationKey key) const {
    if (!has_key(sender, key)) return std::unexpected(ReservationRefusal{});
    ReservationChange change{.next = {.persists = state_.persists}, .counts = true};
    for (const auto& [nexus, registered] : state_.registrations) {
        if (nexus != sender) change.attentions.emplace_back(nexus, SenseCode::kReservationsPreempted);
    }
    return change;
}

void PersistentReservations::apply(const ReservationChange& change) {
    state_ = change.next;
    if (change.counts) ++generation_;
}

void PersistentReservations::restore(PersistentReservationsState state) {
    state_ = std::move(state);
    generation_ = 0;
}

void unregister(ReservationChange& change, const NexusName& nexus, const NexusName& sender) {
    PersistentReservationsState& next = change.next;
    const bool held = next.holds(nexus);
    next.registrations.erase(nexus);
    if (!held || (is_all_registrants(next.reservation->type) && !next.registrations.empty())) return;
    const bool others_lose = includes_registrants(next.reservation->type);
    next.reservation.reset();
    if (!others_lose) return;
    for (const auto& [other, key] : next.registrations) {
        if (other != sender) change.attentions.emplace_back(other, SenseCode::kReservationsReleased);
    }
}

} // namespace touka::scsi
