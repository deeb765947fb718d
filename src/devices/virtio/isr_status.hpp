#pragma once

#include <cstdint>
#include <mutex>
#include <utility>

#include "platform/pci/interrupt_pin.hpp"

namespace touka::devices::virtio {

/// The ISR status byte and the pin that follows it, for drivers without MSI-X. (Virtual I/O Device 1.2 §4.1.4.5)
/// Any thread; its lock comes before the pin's.
class IsrStatus {
public:
    explicit IsrStatus(platform::InterruptPin& pin) : pin_(pin) {}
    /// @param bits of spec::virtio::isr.
    void raise(std::uint8_t bits) {
        const std::scoped_lock lock(mutex_);
        set_locked(value_ | bits);
    }
    /// Reading clears, and takes the interrupt back.
    [[nodiscard]] std::uint8_t read_and_clear() {
        const std::scoped_lock lock(mutex_);
        const std::uint8_t value = value_;
        set_locked(0);
        return value;
    }
    [[nodiscard]] std::uint8_t value() const {
        const std::scoped_lock lock(mutex_);
        return value_;
    }
    void set(std::uint8_t value) {
        const std::scoped_lock lock(mutex_);
        set_locked(value);
    }

private:
    void set_locked(unsigned value) {
        value_ = static_cast<std::uint8_t>(value);
        pin_.set(value_ != 0);
    }

    mutable std::mutex mutex_;
    platform::InterruptPin& pin_;
    std::uint8_t value_ = 0;
};

} // namespace touka::devices::virtio
