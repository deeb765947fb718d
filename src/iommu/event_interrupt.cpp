#include "iommu/event_interrupt.hpp"

#include "spec/apic/interrupt_message.hpp"
#include "spec/vtd/registers.hpp"

namespace touka::iommu {

using namespace spec::vtd::event_control;

void EventInterrupt::reset() { state_ = State{.control = IM}; }

void EventInterrupt::raise() {
    if ((state_.control & IM) != 0) {
        state_.control |= IP;
    } else {
        send();
    }
}

void EventInterrupt::settle() { state_.control &= ~IP; }

void EventInterrupt::send() {
    namespace address_fields = spec::apic::message_address;
    namespace data_fields = spec::apic::message_data;
    const spec::apic::MessageAddress address{state_.address};
    const spec::apic::MessageData data{state_.data};
    // Bits 31:8 of the register are those of the x2APIC ID; a message has no room for them.
    const std::uint32_t upper = state_.upper_address & 0xFFFF'FF00;
    if (upper == 0) return msi_.send({.address = state_.address, .data = state_.data});
    if (address.get(address_fields::PREFIX) != address_fields::kPrefix) return;
    delivery_.deliver({.destination = upper | address.get(address_fields::DESTINATION_ID),
                       .logical = address.get(address_fields::DESTINATION_MODE),
                       .mode = data.get(data_fields::DELIVERY_MODE),
                       .vector = data.get(data_fields::VECTOR),
                       .level = false});
}

std::uint32_t EventInterrupt::read(unsigned index) const {
    switch (index) {
        case 0: return state_.control;
        case 1: return state_.data;
        case 2: return state_.address;
        default: return state_.upper_address;
    }
}

void EventInterrupt::write(unsigned index, std::uint32_t value) {
    switch (index) {
        case 1: state_.data = value & 0xFFFF; return;
        case 2: state_.address = value & ~3u; return;
        case 3: state_.upper_address = value; return;
        default: break;
    }
    const bool pending = (state_.control & IP) != 0;
    state_.control = (state_.control & IP) | (value & IM);
    if (!pending || (value & IM) != 0) return;
    state_.control &= ~IP;
    send();
}

} // namespace touka::iommu
