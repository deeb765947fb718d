#pragma once

#include <cstdint>
#include <optional>

#include "runtime/notification.hpp"

namespace touka::cpu {

/// A port or MMIO address whose writes only wake somebody up: virtio queue notifications.
struct Doorbell {
    bool is_port = false;
    std::uint64_t address = 0;
    unsigned width_bytes = 0;                            ///< 0: any width
    std::optional<std::uint64_t> match;                  ///< only this value
    const runtime::Notification* notification = nullptr; ///< outlives the registration
};

/// Short cuts from a vCPU to a notification, without the device's register handler in between. An engine that has
/// none keeps the defaults; then the handler sees the write and raises the notification itself. Any thread.
class DoorbellRegistry {
public:
    virtual ~DoorbellRegistry() = default;
    /// @return whether writes are short-cut from now on.
    virtual bool attach_doorbell(const Doorbell&) { return false; }
    virtual void detach_doorbell(const Doorbell&) {}
};

} // namespace touka::cpu
