#include "platform/pci/intx_router.hpp"

namespace touka::platform {

InterruptLine& IntxRouter::make_wire(unsigned device, unsigned pin) {
    const std::scoped_lock lock(mutex_);
    return *wires_.emplace_back(std::make_unique<Wire>(*this, pci_pin_gsi(device, pin) - kFirstPciGsi));
}

void IntxRouter::change(Wire& wire, bool asserted) {
    const std::scoped_lock lock(mutex_);
    if (wire.asserted_ == asserted) return;
    wire.asserted_ = asserted;
    unsigned& count = asserted_count_[wire.input_];
    const bool was_asserted = count > 0;
    count = asserted ? count + 1 : count - 1;
    InterruptLine* const input = inputs_[wire.input_];
    if (input && was_asserted != (count > 0)) input->set(count > 0);
}

} // namespace touka::platform
