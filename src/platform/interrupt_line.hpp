#pragma once

#include <cstdint>

namespace touka::platform {

/// A wire into an interrupt controller. Any thread.
class InterruptLine {
public:
    virtual ~InterruptLine() = default;
    virtual void set(bool asserted) = 0;
    /// An edge: up and down again.
    void pulse() {
        set(true);
        set(false);
    }
};

/// A message-signalled interrupt as it stands on the bus. (PCI Local Bus 3.0 §6.8.1; SDM vol. 3 §11.11)
struct MsiMessage {
    std::uint64_t address = 0;
    std::uint32_t data = 0;
    bool operator==(const MsiMessage&) const = default;
};

/// Takes message-signalled interrupts: the local APICs, or the kernel's. Any thread.
class MsiSink {
public:
    virtual ~MsiSink() = default;
    virtual void send(const MsiMessage& message) = 0;
};

} // namespace touka::platform
