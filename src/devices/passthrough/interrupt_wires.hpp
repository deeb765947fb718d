#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "devices/passthrough/device_transport.hpp"
#include "platform/interrupt_line.hpp"
#include "runtime/reactor.hpp"
#include "runtime/unique_fd.hpp"

namespace touka::devices::passthrough {

/// Eventfds from a device's interrupts of one index to the guest: past this process as messages, where there is
/// something that carries them and they may be sent, else to who raises them. Each signal goes one of both ways, once.
/// Any thread.
class InterruptWires {
public:
    /// @param on_signal called on the reactor with the interrupt's number.  @param sink makes what carries; null: all
    ///   goes through this process.
    InterruptWires(runtime::Reactor& reactor, DeviceTransport& transport, std::uint32_t index,
                   std::function<void(std::uint32_t)> on_signal, platform::MsiSink* sink = nullptr);
    ~InterruptWires();
    InterruptWires(const InterruptWires&) = delete;
    InterruptWires& operator=(const InterruptWires&) = delete;

    /// Connects [first, first + count) as far as they are not connected. @return false when the host has no more
    /// descriptors, or the device does not take them: these stay silent.
    bool connect(std::uint32_t first, std::uint32_t count);
    /// Takes all away, and tells the device.
    void disconnect();
    /// As above, for a device that has forgotten them itself.
    void forget();
    /// Which message the interrupt is from now on, connected or not yet; nothing: it goes to who raises it. When it
    /// returns, nothing is sent by the message of before.
    void route(std::uint32_t number, const std::optional<platform::MsiMessage>& message);

    /// Signals that went through this process.
    [[nodiscard]] std::uint64_t raised() const { return raised_.load(std::memory_order_relaxed); }
    /// How many interrupts went past it at the same time, at most. Their signals are nobody's to count.
    [[nodiscard]] std::uint32_t most_carried() const { return most_carried_.load(std::memory_order_relaxed); }

private:
    struct Wire {
        runtime::UniqueFd event;
        std::mutex carrying;                        // of the carrier and of reading the event; innermost
        std::unique_ptr<platform::MsiWire> carrier; // null: none
        bool carried = false;
        std::unique_ptr<runtime::Reactor::Watch> watch; // gone before the rest
    };
    using Wires = std::map<std::uint32_t, std::unique_ptr<Wire>>;
    [[nodiscard]] std::unique_ptr<Wire> make(std::uint32_t number);
    void carry(Wire& wire, const std::optional<platform::MsiMessage>& message);
    void on_ready(Wire& wire, std::uint32_t number);
    [[nodiscard]] Wires take_all();

    runtime::Reactor& reactor_;
    DeviceTransport& transport_;
    std::uint32_t index_;
    std::function<void(std::uint32_t)> on_signal_;
    platform::MsiSink* sink_;
    // Before the transport's locks. No watch ends under it: its handler may wait for who waits for this.
    std::mutex mutex_;
    Wires wires_;
    std::map<std::uint32_t, platform::MsiMessage> routes_;
    std::atomic<std::uint64_t> raised_{0};
    std::atomic<std::uint32_t> carried_{0}, most_carried_{0};
};

} // namespace touka::devices::passthrough
