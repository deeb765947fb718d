// The states that a served function goes through when it moves. (vfio-user Protocol, "VFIO_DEVICE_FEATURE_MIG_DEVICE_
// STATE", "Direct State Transitions")
// Absent: P2P. In PRE_COPY a function runs, and has no data yet: its state is small, and none of it is known to last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <vector>

#include "platform/device.hpp"
#include "spec/vfio/device.hpp"

namespace touka::devices::passthrough {

/// Drives Device::pause, resume, save and restore. Errors are errnos. On the server's reactor.
class MigrationMachine {
public:
    /// What a client may deliver at most.
    static constexpr std::size_t kDataLimitBytes = std::size_t{64} << 20;

    explicit MigrationMachine(platform::Device& device) : device_(device) {}

    [[nodiscard]] spec::vfio::MigrationState state() const { return state_; }
    [[nodiscard]] std::expected<void, int> set(spec::vfio::MigrationState wanted);
    /// The next bytes of the state that is saved, at most so many; fewer mean that it was the end, for now in PRE_COPY.
    [[nodiscard]] std::expected<std::span<const std::byte>, int> read(std::size_t length_bytes);
    [[nodiscard]] std::expected<void, int> write(std::span<const std::byte> bytes);
    /// The state after power-on, running, from any state.
    void reset();

private:
    [[nodiscard]] std::expected<void, int> stop();
    [[nodiscard]] bool load();

    platform::Device& device_;
    spec::vfio::MigrationState state_ = spec::vfio::MigrationState::kRunning;
    std::vector<std::byte> data_;
    std::size_t read_bytes_ = 0;
};

} // namespace touka::devices::passthrough
