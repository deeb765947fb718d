#pragma once

#include <cstdint>
#include <memory>

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

/// Carries the signals of one eventfd to the processors, as a message, without this process. One thread at a time.
class MsiWire {
public:
    /// As let_go().
    virtual ~MsiWire() = default;
    /// From now on each signal is this message, and the eventfd's count stays 0; one that waits there is delivered so,
    /// too, and taken. @return false: signals stay in the eventfd.
    [[nodiscard]] virtual bool carry(const MsiMessage& message) = 0;
    /// When it returns, the signals of before have been delivered, and those that come stay in the eventfd.
    virtual void let_go() = 0;
};

/// Takes message-signalled interrupts: the local APICs, or the kernel's. Any thread.
class MsiSink {
public:
    virtual ~MsiSink() = default;
    virtual void send(const MsiMessage& message) = 0;
    /// @param event outlives the wire.  @return null: there are no such here, or none is left.
    [[nodiscard]] virtual std::unique_ptr<MsiWire> make_wire([[maybe_unused]] int event) { return nullptr; }
};

} // namespace touka::platform
