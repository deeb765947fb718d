#include "devices/nvme/reservations.hpp"

#include <algorithm>

#include "spec/nvme/log_page.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;

namespace {

bool exists(ReservationType type) {
    return type >= ReservationType::kWriteExclusive && type <= ReservationType::kExclusiveAccessAllRegistrants;
}
bool all_registrants(ReservationType type) {
    return type == ReservationType::kWriteExclusiveAllRegistrants ||
           type == ReservationType::kExclusiveAccessAllRegistrants;
}

} // namespace

Reservations::Registrant* Reservations::find(const HostIdentity& host) {
    const auto found = std::ranges::find(state_.registrants, host, &Registrant::host);
    return found == state_.registrants.end() ? nullptr : &*found;
}
const Reservations::Registrant* Reservations::find(const HostIdentity& host) const {
    const auto found = std::ranges::find(state_.registrants, host, &Registrant::host);
    return found == state_.registrants.end() ? nullptr : &*found;
}

bool Reservations::for_all_registrants() const { return all_registrants(state_.type); }
bool Reservations::for_registrants() const {
    return for_all_registrants() || state_.type == ReservationType::kWriteExclusiveRegistrantsOnly ||
           state_.type == ReservationType::kExclusiveAccessRegistrantsOnly;
}

bool Reservations::holds(const HostIdentity& host) const {
    if (state_.type == ReservationType::kNone) return false;
    return for_all_registrants() ? find(host) != nullptr : state_.holder == host;
}

bool Reservations::may_read(const HostIdentity& host) const {
    switch (state_.type) {
        case ReservationType::kExclusiveAccess: return holds(host);
        case ReservationType::kExclusiveAccessRegistrantsOnly:
        case ReservationType::kExclusiveAccessAllRegistrants: return find(host) != nullptr;
        default: return true;
    }
}

bool Reservations::may_write(const HostIdentity& host) const {
    if (state_.type == ReservationType::kNone) return true;
    return for_registrants() ? find(host) != nullptr : holds(host);
}

/// Takes the reservation away; those whose access depended on it are told. (§8.19.6)
void Reservations::end_reservation(const HostIdentity& by, Result& result) {
    const bool tell = for_registrants();
    state_.type = ReservationType::kNone;
    state_.holder.reset();
    if (!tell) return;
    for (const Registrant& other : state_.registrants) {
        if (other.host != by) result.notices.push_back({other.host, kReservationReleased});
    }
}

void Reservations::remove(const HostIdentity& host, Result& result) {
    const bool held = holds(host);
    std::erase_if(state_.registrants, [&host](const Registrant& registrant) { return registrant.host == host; });
    const bool last_holder = for_all_registrants() ? state_.registrants.empty() : held;
    if (held && last_holder) end_reservation(host, result);
}

Reservations::Result Reservations::register_key(const HostIdentity& host, std::uint8_t action, bool ignore_existing_key,
                                                std::uint8_t persist, const ReservationKeys& keys) {
    Result result;
    if (action > kReplaceKey || persist == 1) return {Status::kInvalidField};
    Registrant* const registrant = find(host);
    if (action == kRegister) {
        if (registrant != nullptr && registrant->key != keys.other) return {Status::kReservationConflict};
        if (registrant == nullptr) {
            if (state_.registrants.size() >= kRegistrantLimit) return {Status::kReservationConflict};
            state_.registrants.push_back({host, keys.other});
        }
    } else {
        if (registrant == nullptr) return {Status::kReservationConflict};
        if (!ignore_existing_key && registrant->key != keys.current) return {Status::kReservationConflict};
        if (action == kReplaceKey) {
            registrant->key = keys.other;
        } else {
            remove(host, result);
        }
    }
    if (persist != kPersistNoChange) state_.persist = persist == kPersistOn;
    ++state_.generation;
    return result;
}

Reservations::Result Reservations::acquire(const HostIdentity& host, std::uint8_t action, ReservationType type,
                                           const ReservationKeys& keys) {
    if (action > kPreemptAndAbort || !exists(type)) return {Status::kInvalidField};
    const Registrant* const registrant = find(host);
    if (registrant == nullptr || registrant->key != keys.current) return {Status::kReservationConflict};
    if (action != kAcquire) return preempt(host, type, keys.other);
    if (state_.type != ReservationType::kNone) {
        const bool same = holds(host) && state_.type == type;
        return {same ? Status::kSuccess : Status::kReservationConflict};
    }
    state_.type = type;
    if (!all_registrants(type)) state_.holder = host;
    return {};
}

// §8.19.7: by the key, and by whom the reservation belongs to.
Reservations::Result Reservations::preempt(const HostIdentity& host, ReservationType type, std::uint64_t key) {
    Result result;
    const bool reserved = state_.type != ReservationType::kNone;
    const bool everybody = reserved && for_all_registrants() && key == 0;
    if (key == 0 && !everybody) return {Status::kInvalidField};
    const Registrant* const holder = state_.holder ? find(*state_.holder) : nullptr;
    const bool takes_over = everybody || (holder != nullptr && holder->key == key);
    const auto matches = [&](const Registrant& registrant) { return everybody || registrant.key == key; };
    if (!everybody && std::ranges::none_of(state_.registrants, matches)) return {Status::kReservationConflict};

    const bool type_changes = takes_over && for_registrants() && state_.type != type;
    for (const Registrant& registrant : state_.registrants) {
        if (registrant.host == host || !matches(registrant)) continue;
        const bool held = takes_over && holds(registrant.host);
        result.notices.push_back({registrant.host, kRegistrationPreempted});
        if (held) result.notices.push_back({registrant.host, kReservationPreempted});
        result.preempted.push_back(registrant.host);
    }
    std::erase_if(state_.registrants,
                  [&](const Registrant& registrant) { return registrant.host != host && matches(registrant); });
    if (takes_over) {
        state_.type = type;
        state_.holder.reset();
        if (!all_registrants(type)) state_.holder = host;
    }
    if (type_changes) {
        for (const Registrant& other : state_.registrants) {
            if (other.host != host) result.notices.push_back({other.host, kReservationReleased});
        }
    }
    ++state_.generation;
    return result;
}

Reservations::Result Reservations::release(const HostIdentity& host, std::uint8_t action, ReservationType type,
                                           std::uint64_t key) {
    if (action > kClear) return {Status::kInvalidField};
    const Registrant* const registrant = find(host);
    if (registrant == nullptr || registrant->key != key) return {Status::kReservationConflict};
    Result result;
    if (action == kClear) {
        for (const Registrant& other : state_.registrants) {
            if (other.host != host) result.notices.push_back({other.host, kReservationPreempted});
        }
        state_.registrants.clear();
        state_.type = ReservationType::kNone;
        state_.holder.reset();
        ++state_.generation;
        return result;
    }
    if (!holds(host)) return {};
    if (type != state_.type) return {Status::kInvalidField};
    end_reservation(host, result);
    return result;
}

Reservations::Result Reservations::forget(const HostIdentity& host) {
    Result result;
    if (find(host) != nullptr) remove(host, result);
    return result;
}

} // namespace touka::devices::nvme
