#pragma once

#include <mutex>

#include "platform/interrupt_line.hpp"

namespace touka::platform {

/// A function's INTx# pin: what the device wants, and what Command.INTERRUPT_DISABLE lets through to the wire.
/// (PCI Local Bus 3.0 §6.2.2, §6.2.3) Any thread; the lock is held while the wire changes.
class InterruptPin {
public:
    /// @param line outlives the pin; null while not plugged in.
    void connect(InterruptLine* line) {
        const std::scoped_lock lock(mutex_);
        if (line_ && driven_) line_->set(false);
        line_ = line;
        driven_ = false;
        drive();
    }
    void set(bool asserted) {
        const std::scoped_lock lock(mutex_);
        asserted_ = asserted;
        drive();
    }
    void set_disabled(bool disabled) {
        const std::scoped_lock lock(mutex_);
        disabled_ = disabled;
        drive();
    }
    /// Status.INTERRUPT_STATUS: asserted by the device, disabled or not.
    [[nodiscard]] bool asserted() const {
        const std::scoped_lock lock(mutex_);
        return asserted_;
    }

private:
    void drive() {
        const bool driven = asserted_ && !disabled_;
        if (line_ && driven != driven_) line_->set(driven);
        driven_ = driven;
    }

    mutable std::mutex mutex_;
    InterruptLine* line_ = nullptr;
    bool asserted_ = false;
    bool disabled_ = false;
    bool driven_ = false;
};

} // namespace touka::platform
