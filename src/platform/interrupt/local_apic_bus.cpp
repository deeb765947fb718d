#include "platform/interrupt/local_apic_bus.hpp"

#include <cassert>

#include "platform/interrupt/local_apic.hpp"

namespace touka::platform {

using spec::apic::DeliveryMode;
using Shorthand = spec::apic::icr::Shorthand;

LocalApicBus::LocalApicBus() = default;

void LocalApicBus::add(LocalApic& apic) {
    assert(apic.apic_id() == apics_.size());
    apics_.push_back(&apic);
}

bool LocalApicBus::deliver(const InterruptMessage& message) {
    if (message.mode == DeliveryMode::kLowestPriority) return deliver_to_lowest_priority(message);
    if (!message.logical && message.destination != spec::apic::kBroadcast32) {
        if (message.destination >= apics_.size()) return false;
        LocalApic& apic = *apics_[message.destination];
        return apic.enabled() && apic.accept(message.mode, message.vector, message.level);
    }
    bool accepted = false;
    for (LocalApic* apic : apics_) {
        if (apic->matches(message.destination, message.logical))
            accepted |= apic->accept(message.mode, message.vector, message.level);
    }
    return accepted;
}

bool LocalApicBus::deliver_to_lowest_priority(const InterruptMessage& message) {
    const auto count = static_cast<std::uint32_t>(apics_.size());
    if (count == 0) return false;
    const std::uint32_t first = arbitration_.load(std::memory_order_relaxed);
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t candidate = (first + i) % count;
        LocalApic& apic = *apics_[candidate];
        if (!apic.matches(message.destination, message.logical)) continue;
        if (!apic.accept(DeliveryMode::kFixed, message.vector, message.level)) continue;
        arbitration_.store(candidate + 1, std::memory_order_relaxed);
        return true;
    }
    return false;
}

void LocalApicBus::send_ipi(LocalApic& sender, spec::apic::Icr icr, std::uint32_t destination) {
    const auto mode = icr.get(spec::apic::icr::DELIVERY_MODE);
    const auto vector = icr.get(spec::apic::icr::VECTOR);
    const auto shorthand = icr.get(spec::apic::icr::SHORTHAND);
    // The trigger mode only matters for INIT (§11.6.1): every other IPI is an edge.
    switch (shorthand) {
        case Shorthand::kNone:
            deliver({destination, icr.get(spec::apic::icr::DESTINATION_MODE), mode, vector, false});
            return;
        case Shorthand::kSelf: sender.accept(mode, vector, false); return;
        case Shorthand::kAllIncludingSelf:
        case Shorthand::kAllExcludingSelf:
            for (LocalApic* apic : apics_) {
                if (apic == &sender && shorthand == Shorthand::kAllExcludingSelf) continue;
                if (apic->enabled()) apic->accept(mode, vector, false);
            }
            return;
    }
}

void LocalApicBus::send(const MsiMessage& message) {
    namespace address_fields = spec::apic::message_address;
    namespace data_fields = spec::apic::message_data;
    const spec::apic::MessageAddress address{message.address};
    const spec::apic::MessageData data{message.data};
    if (address.raw >> 32 != 0 || address.get(address_fields::PREFIX) != address_fields::kPrefix) return;

    InterruptMessage interrupt;
    interrupt.destination =
        address.get(address_fields::DESTINATION_ID) | address.get(address_fields::EXTENDED_DESTINATION_ID) << 8;
    interrupt.logical = address.get(address_fields::DESTINATION_MODE);
    if (!interrupt.logical && interrupt.destination == spec::apic::kBroadcast8)
        interrupt.destination = spec::apic::kBroadcast32;
    interrupt.mode = data.get(data_fields::DELIVERY_MODE);
    if (address.get(address_fields::REDIRECTION_HINT) && interrupt.logical && interrupt.mode == DeliveryMode::kFixed)
        interrupt.mode = DeliveryMode::kLowestPriority;
    interrupt.vector = data.get(data_fields::VECTOR);
    interrupt.level = data.get(data_fields::TRIGGER_MODE);
    deliver(interrupt);
}

void LocalApicBus::Lint0::set(bool asserted) {
    for (LocalApic* apic : bus_.apics_) apic->set_lint0(asserted);
}

} // namespace touka::platform
