#pragma once

#include <expected>
#include <string_view>

#include "migration/record.hpp"

namespace touka::platform {

/// Anything with a state that lives as long as its machine. The machine calls these from its control thread:
/// reset, save and restore only while vCPUs and I/O are paused.
class Device {
public:
    virtual ~Device() = default;
    /// Unique in the machine and the same in every run of the same configuration: "rtc", "virtio-blk@00:03.0".
    [[nodiscard]] virtual std::string_view name() const = 0;
    /// The machine is built and about to run.
    virtual void start() {}
    /// Stops taking new work and returns when no request is in flight; the guest notices nothing.
    virtual void pause() {}
    virtual void resume() {}
    /// The state after power-on.
    virtual void reset() = 0;
    [[nodiscard]] virtual migration::Record save() const = 0;
    [[nodiscard]] virtual std::expected<void, migration::RestoreError> restore(const migration::Record&) = 0;
};

} // namespace touka::platform
