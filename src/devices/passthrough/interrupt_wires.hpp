#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "devices/passthrough/device_transport.hpp"
#include "runtime/reactor.hpp"
#include "runtime/unique_fd.hpp"

namespace touka::devices::passthrough {

/// Eventfds from a device's interrupts of one index to who raises them in the guest. Any thread.
class InterruptWires {
public:
    /// @param on_signal called on the reactor with the interrupt's number.
    InterruptWires(runtime::Reactor& reactor, DeviceTransport& transport, std::uint32_t index,
                   std::function<void(std::uint32_t)> on_signal);
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

private:
    struct Wire {
        runtime::UniqueFd event;
        std::unique_ptr<runtime::Reactor::Watch> watch;
    };
    runtime::Reactor& reactor_;
    DeviceTransport& transport_;
    std::uint32_t index_;
    std::function<void(std::uint32_t)> on_signal_;
    std::mutex mutex_; // before the transport's locks
    std::map<std::uint32_t, Wire> wires_;
};

} // namespace touka::devices::passthrough
