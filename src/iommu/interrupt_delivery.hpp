#pragma once

#include "platform/interrupt/local_apic_bus.hpp"

namespace touka::iommu {

/// Where interrupts go that were remapped: to the local APICs, with destinations of 32 bits, which an MSI of its own
/// format cannot carry. Any thread.
class InterruptDelivery {
public:
    virtual ~InterruptDelivery() = default;
    virtual void deliver(const platform::InterruptMessage& message) = 0;
};

/// To Touka's own local APICs.
class BusDelivery final : public InterruptDelivery {
public:
    /// @param bus outlives it.
    explicit BusDelivery(platform::LocalApicBus& bus) : bus_(bus) {}
    void deliver(const platform::InterruptMessage& message) override { (void)bus_.deliver(message); }

private:
    platform::LocalApicBus& bus_;
};

} // namespace touka::iommu
