// Hosts and reservations, and what primary controllers give to secondary ones.
#include <algorithm>
#include <utility>

#include "devices/nvme/controller.hpp"
#include "devices/nvme/subsystem.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;

void Subsystem::set_host(Controller& controller, const HostIdentity& host) {
    const std::scoped_lock lock(mutex_);
    Member* const self = member(controller.id());
    if (self == nullptr) return;
    self->host = host;
    for (Entry& each : namespaces_) update_access(each, *self);
}

std::vector<std::pair<std::uint16_t, HostIdentity>> Subsystem::hosts() const {
    const std::scoped_lock lock(mutex_);
    std::vector<std::pair<std::uint16_t, HostIdentity>> result;
    for (const Member& each : members_) result.emplace_back(each.controller->id(), each.host);
    return result;
}

Reservations::State Subsystem::reservations(std::uint32_t nsid) const {
    const std::scoped_lock lock(mutex_);
    const Entry* const target = entry(nsid);
    return target == nullptr ? Reservations::State{} : target->reservations.state();
}

Reservations::Result
Subsystem::reserve(Controller& controller, std::uint32_t nsid,
                   const std::function<Reservations::Result(Reservations&, const HostIdentity&)>& operation) {
    const std::scoped_lock lock(mutex_);
    Entry& target = *entry(nsid);
    const Member* const self = member(controller.id());
    if (self == nullptr) return {Status::kInternalError};
    Reservations::Result result = operation(target.reservations, self->host);
    if (result.status != Status::kSuccess) return result;
    update_access(target);
    notify(nsid, result.notices);
    return result;
}

void Subsystem::forget_unidentified(Controller& controller) {
    const std::scoped_lock lock(mutex_);
    const Member* const self = member(controller.id());
    if (self == nullptr || self->host.controller != controller.id()) return;
    for (Entry& each : namespaces_) {
        const Reservations::Result result = each.reservations.forget(self->host);
        update_access(each);
        notify(each.ns->nsid(), result.notices);
    }
}

void Subsystem::notify(std::uint32_t nsid, const std::vector<ReservationNotice>& notices) {
    for (const ReservationNotice& notice : notices) {
        for (const Member& each : members_) {
            if (each.host == notice.host) each.controller->reservation_notice(nsid, notice.type);
        }
    }
}

// --- virtualization ---

void Subsystem::add_primary(std::uint16_t id, const VirtualResources::Counts& own,
                            const VirtualResources::Counts& flexible, const VirtualResources::Counts& secondary_limit) {
    const std::scoped_lock lock(mutex_);
    resources_.emplace_back(id, own, flexible, secondary_limit);
}

void Subsystem::add_secondary(std::uint16_t primary, const VirtualResources::Secondary& secondary) {
    const std::scoped_lock lock(mutex_);
    for (VirtualResources& each : resources_) {
        if (each.primary() == primary) each.add_secondary(secondary);
    }
}

VirtualResources* Subsystem::resources_for(std::uint16_t id) {
    for (VirtualResources& each : resources_) {
        if (each.primary() == id || each.find(id) != nullptr) return &each;
    }
    return nullptr;
}
const VirtualResources* Subsystem::resources_for(std::uint16_t id) const {
    for (const VirtualResources& each : resources_) {
        if (each.primary() == id || each.find(id) != nullptr) return &each;
    }
    return nullptr;
}

Subsystem::Resources Subsystem::resources(std::uint16_t id) const {
    const std::scoped_lock lock(mutex_);
    const VirtualResources* const found = resources_for(id);
    if (found == nullptr || found->primary() != id) return {};
    return {found->capabilities(), found->state().secondaries};
}

std::optional<VirtualResources::Counts> Subsystem::counts(std::uint16_t id) const {
    const std::scoped_lock lock(mutex_);
    const VirtualResources* const found = resources_for(id);
    if (found == nullptr) return std::nullopt;
    return found->primary() == id ? found->of_primary() : found->find(id)->assigned;
}

bool Subsystem::online(std::uint16_t id) const {
    const std::scoped_lock lock(mutex_);
    const VirtualResources* const found = resources_for(id);
    return found == nullptr || found->primary() == id || found->find(id)->online;
}

VirtualResources::Answer Subsystem::manage(std::uint16_t by, std::uint8_t action, std::uint8_t resource_type,
                                           std::uint16_t id, std::uint16_t count) {
    const std::scoped_lock lock(mutex_);
    VirtualResources* const found = resources_for(by);
    if (found == nullptr || found->primary() != by) return {Status::kInvalidField};
    switch (action) {
        case kPrimaryFlexibleAllocation:
            return id == by ? found->allocate_primary(resource_type, count)
                            : VirtualResources::Answer{Status::kInvalidControllerId};
        case kSecondaryAssign: return found->assign(id, resource_type, count);
        case kSecondaryOnline:
        case kSecondaryOffline: {
            const auto answer = found->set_online(id, action == kSecondaryOnline);
            if (Member* const other = member(id); other != nullptr && answer.status == Status::kSuccess) {
                other->controller->set_online(action == kSecondaryOnline);
            }
            return answer;
        }
        default: return {Status::kInvalidField};
    }
}

// --- state ---

migration::Record Subsystem::save() const {
    const std::scoped_lock lock(mutex_);
    SubsystemState state;
    for (const Entry& each : namespaces_) {
        state.namespaces.push_back({each.ns->format(), each.reservations.state(), each.attached});
    }
    for (const VirtualResources& each : resources_) state.resources.push_back(each.state());
    return migration::save_record(configuration_.name, std::move(state));
}

std::expected<void, migration::RestoreError> Subsystem::restore(const migration::Record& record) {
    auto state = migration::load_record<SubsystemState>(record);
    if (!state) return std::unexpected(state.error());
    const std::scoped_lock lock(mutex_);
    if (state->namespaces.size() != namespaces_.size() || state->resources.size() != resources_.size()) {
        return std::unexpected(migration::RestoreError::kMismatch);
    }
    for (std::size_t i = 0; i < namespaces_.size(); ++i) {
        if (!namespaces_[i].ns->suits(state->namespaces[i].format)) {
            return std::unexpected(migration::RestoreError::kMismatch);
        }
    }
    for (std::size_t i = 0; i < resources_.size(); ++i) {
        if (!resources_[i].restore(state->resources[i])) return std::unexpected(migration::RestoreError::kMismatch);
    }
    for (std::size_t i = 0; i < namespaces_.size(); ++i) {
        namespaces_[i].ns->set_format(state->namespaces[i].format);
        namespaces_[i].reservations.restore(std::move(state->namespaces[i].reservations));
        namespaces_[i].attached = std::move(state->namespaces[i].attached);
        update_access(namespaces_[i]);
    }
    return {};
}

} // namespace touka::devices::nvme
