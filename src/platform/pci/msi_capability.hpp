#pragma once

#include <cstdint>

#include "platform/interrupt_line.hpp"
#include "platform/pci/config_space.hpp"

namespace touka::platform {

/// MSI with one message that can be masked, of a function that wants an interrupt for as long as a condition holds, as
/// ports do: a message leaves each time the condition, enabled and not masked, becomes true. Under the configuration
/// lock. (PCI Local Bus 3.0 §6.8.1; PCI Express Base 5.0 §6.7.3.4)
class MsiCapability {
public:
    static constexpr std::uint32_t kBytes = 24;

    /// Defines the registers. @param at where the capability is.  @param sink outlives it.
    MsiCapability(ConfigSpace& config, std::uint32_t at, MsiSink& sink);

    /// A function that signals by messages does not use its pin. (§6.8)
    [[nodiscard]] bool enabled() const;
    /// The condition, or a register, may have changed.
    void update(bool wanted, bool bus_master);
    /// The registers are those of a saved state, whose message has been sent.
    void registers_replaced(bool wanted, bool bus_master);

private:
    [[nodiscard]] bool sends(bool wanted, bool bus_master);

    ConfigSpace& config_;
    std::uint32_t at_;
    MsiSink& sink_;
    bool was_sent_ = false;
};

} // namespace touka::platform
