#include "devices/nvme/virtual_resources.hpp"

#include <algorithm>

namespace touka::devices::nvme {

using namespace spec::nvme;

std::optional<VirtualResources::Member> VirtualResources::member(std::uint8_t type) {
    switch (type) {
        case kQueueResources: return &Counts::queues;
        case kInterruptResources: return &Counts::vectors;
        default: return std::nullopt;
    }
}

VirtualResources::Secondary* VirtualResources::find(std::uint16_t id) {
    const auto found = std::ranges::find(state_.secondaries, id, &Secondary::id);
    return found == state_.secondaries.end() ? nullptr : &*found;
}

const VirtualResources::Secondary* VirtualResources::find(std::uint16_t id) const {
    const auto found = std::ranges::find(state_.secondaries, id, &Secondary::id);
    return found == state_.secondaries.end() ? nullptr : &*found;
}

std::uint32_t VirtualResources::assigned(Member which) const {
    std::uint32_t sum = 0;
    for (const Secondary& secondary : state_.secondaries) sum += secondary.assigned.*which;
    return sum;
}

VirtualResources::Answer VirtualResources::allocate_primary(std::uint8_t type, std::uint16_t count) {
    const auto which = member(type);
    if (!which) return {Status::kInvalidResourceId};
    if (count > flexible_.**which - assigned(*which)) return {Status::kInvalidResourceCount};
    state_.primary_flexible.** which = count;
    return {.allocated = count};
}

VirtualResources::Answer VirtualResources::assign(std::uint16_t id, std::uint8_t type, std::uint16_t count) {
    const auto which = member(type);
    if (!which) return {Status::kInvalidResourceId};
    Secondary* const secondary = find(id);
    if (secondary == nullptr) return {Status::kInvalidControllerId};
    if (secondary->online) return {Status::kInvalidSecondaryState};
    const std::uint32_t others = assigned(*which) - secondary->assigned.**which + state_.primary_flexible.**which;
    if (count > limit_.**which || others + count > flexible_.**which) return {Status::kInvalidResourceCount};
    secondary->assigned.** which = count;
    return {.allocated = count};
}

VirtualResources::Answer VirtualResources::set_online(std::uint16_t id, bool online) {
    Secondary* const secondary = find(id);
    if (secondary == nullptr) return {Status::kInvalidControllerId};
    // An admin pair and one for I/O, and a vector, are the least that a controller can work with. (§8.26.3)
    if (online && (secondary->assigned.queues < 2 || secondary->assigned.vectors < 1)) {
        return {Status::kInvalidSecondaryState};
    }
    secondary->online = online;
    if (!online) secondary->assigned = {};
    return {};
}

bool VirtualResources::restore(const State& state) {
    if (!std::ranges::equal(state.secondaries, state_.secondaries, {}, &Secondary::id, &Secondary::id)) return false;
    state_ = state;
    return assigned(&Counts::queues) + state.primary_flexible.queues <= flexible_.queues &&
           assigned(&Counts::vectors) + state.primary_flexible.vectors <= flexible_.vectors;
}

PrimaryCapabilities VirtualResources::capabilities() const {
    PrimaryCapabilities result{};
    result.cntlid = primary_;
    result.crt = 0x03;
    result.vqfrt = flexible_.queues;
    result.vqrfa = assigned(&Counts::queues);
    result.vqrfap = state_.primary_flexible.queues;
    result.vqprt = own_.queues;
    result.vqfrsm = limit_.queues;
    result.vqgran = 1;
    result.vifrt = flexible_.vectors;
    result.virfa = assigned(&Counts::vectors);
    result.virfap = state_.primary_flexible.vectors;
    result.viprt = own_.vectors;
    result.vifrsm = limit_.vectors;
    result.vigran = 1;
    return result;
}

} // namespace touka::devices::nvme
