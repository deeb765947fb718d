#include "machine/kernel_msi_wire.hpp"

#include <unistd.h>

#include "spec/apic/interrupt_message.hpp"

namespace touka::machine {

KernelMsiWire::~KernelMsiWire() {
    let_go();
    if (gsi_) chips_.remove_msi_route(*gsi_);
}

bool KernelMsiWire::carry(const platform::MsiMessage& message) {
    namespace fields = spec::apic::message_address;
    if (spec::apic::MessageAddress{message.address}.get(fields::PREFIX) != fields::kPrefix) return false;
    if (attached_ && message == message_) return true;
    if (!gsi_) {
        const auto gsi = chips_.add_msi_route(message.address, message.data);
        if (!gsi) return false;
        gsi_ = *gsi;
    } else if (message != message_ && !chips_.change_msi_route(*gsi_, message.address, message.data)) {
        message_ = {}; // whichever stands now, it is not to be relied on
        return false;
    }
    message_ = message;
    if (attached_) return true;
    attached_ = chips_.attach_irqfd(*gsi_, event_).has_value();
    if (attached_) {
        // The kernel looked at what was there and delivered it, but leaves the count: it must not be raised, too.
        std::uint64_t delivered = 0;
        (void)!::read(event_, &delivered, sizeof delivered);
    }
    return attached_;
}

void KernelMsiWire::let_go() {
    if (!attached_) return;
    chips_.detach_irqfd(*gsi_, event_);
    attached_ = false;
}

} // namespace touka::machine
