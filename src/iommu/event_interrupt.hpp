#pragma once

#include <cstdint>

#include "iommu/interrupt_delivery.hpp"
#include "platform/interrupt_line.hpp"

namespace touka::iommu {

/// The four registers of an interrupt of the unit's own, for faults or for completions: control, data, address, upper
/// address. These interrupts are not remapped. (VT-d Rev. 4.1 §5.1.7, chapter 11: Fault Event Control Register)
/// Not synchronised.
class EventInterrupt {
public:
    struct State {
        std::uint32_t control = 0, data = 0, address = 0, upper_address = 0;
        void describe(auto& archive) { archive(control, data, address, upper_address); }
        bool operator==(const State&) const = default;
    };

    /// @param msi takes what fits a message.  @param delivery takes what goes to x2APIC IDs above 8 bits.
    EventInterrupt(platform::MsiSink& msi, InterruptDelivery& delivery) : msi_(msi), delivery_(delivery) { reset(); }

    /// Sends it, or keeps it pending while it is masked.
    void raise();
    /// The guest has dealt with all that it was raised for.
    void settle();

    /// @param index 0 to 3, in the order of the registers.
    [[nodiscard]] std::uint32_t read(unsigned index) const;
    void write(unsigned index, std::uint32_t value);

    void reset();
    [[nodiscard]] const State& state() const { return state_; }
    void restore(const State& state) { state_ = state; }

private:
    void send();

    platform::MsiSink& msi_;
    InterruptDelivery& delivery_;
    State state_;
};

} // namespace touka::iommu
