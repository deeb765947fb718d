#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <vector>

#include "platform/interrupt_line.hpp"
#include "platform/pci/pci_layout.hpp"

namespace touka::platform {

/// Joins the interrupt pins of all functions onto the I/O APIC's inputs: level-triggered, an input is asserted while
/// one of its pins is. Any thread; the lock is held while an input changes.
class IntxRouter {
public:
    using Inputs = std::array<InterruptLine*, kPciGsiCount>;
    /// @param inputs GSI 16 to 23, null for one that nobody listens to; they outlive the router.
    explicit IntxRouter(const Inputs& inputs) : inputs_(inputs) {}

    /// A wire of its own from a pin to its input; lives as long as the router.
    [[nodiscard]] InterruptLine& make_wire(unsigned device, unsigned pin);

private:
    class Wire final : public InterruptLine {
    public:
        Wire(IntxRouter& router, unsigned input) : router_(router), input_(input) {}
        void set(bool asserted) override { router_.change(*this, asserted); }

    private:
        friend class IntxRouter;
        IntxRouter& router_;
        unsigned input_;
        bool asserted_ = false;
    };
    void change(Wire& wire, bool asserted);

    std::mutex mutex_;
    Inputs inputs_;
    std::array<unsigned, kPciGsiCount> asserted_count_{};
    std::vector<std::unique_ptr<Wire>> wires_;
};

} // namespace touka::platform
