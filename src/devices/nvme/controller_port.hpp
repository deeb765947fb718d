#pragma once

#include <cstdint>
#include <span>

#include "memory/dma_space.hpp"
#include "runtime/reactor.hpp"

namespace touka::devices::nvme {

/// The function around a controller, as the controller sees it. Any thread.
class ControllerPort {
public:
    virtual ~ControllerPort() = default;
    /// May it reach memory and interrupt?
    [[nodiscard]] virtual bool bus_master() const = 0;
    /// Are interrupts messages? Otherwise they are the pin.
    [[nodiscard]] virtual bool message_signalled() const = 0;
    virtual void raise(std::uint16_t vector) = 0;
    virtual void set_pin(bool asserted) = 0;
};

/// What a controller works with; everything outlives it.
struct ControllerContext {
    runtime::Reactor& reactor; ///< whose thread does all its work
    memory::DmaSpace& dma;
    ControllerPort& port;
    std::span<std::uint32_t> doorbells; ///< two words for each pair of queues, the admin pair included
    bool polled = false;                ///< the reactor looks at the words all the time: writes need not ring()
};

struct ControllerConfiguration {
    std::uint16_t id = 0; ///< CNTLID, unique in the subsystem
    std::uint16_t queue_pairs = 65;
    std::uint16_t vectors = 65;
    bool virtual_function = false;
    bool attach_namespaces = true; ///< all that the subsystem has when the controller is made
};

} // namespace touka::devices::nvme
