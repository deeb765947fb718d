// The states that a served function goes through when it moves. (vfio-user Protocol, "VFIO_DEVICE_FEATURE_MIG_DEVICE_
// STATE", "Direct State Transitions")
// Absent: P2P.
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
///
/// A state is sent as its length, its record, and its length once more: the first is found from the front of all that
/// was sent, the last from its end. The last counts. What PRE_COPY sends is a whole state of that moment, so that a
/// function that cannot take it says so while the other one still runs; it may be read in part, and need not be
/// delivered.
class MigrationMachine {
public:
    /// What a client may deliver at most.
    static constexpr std::size_t kDataLimitBytes = std::size_t{64} << 20;

    explicit MigrationMachine(platform::Device& device) : device_(device) {}

    [[nodiscard]] spec::vfio::MigrationState state() const { return state_; }
    [[nodiscard]] std::expected<void, int> set(spec::vfio::MigrationState wanted);
    /// The next bytes of the state, at most so many; fewer mean that it was the end. The first in PRE_COPY makes the
    /// function wait while its state is saved.
    [[nodiscard]] std::expected<std::span<const std::byte>, int> read(std::size_t length_bytes);
    /// EINVAL: the function cannot take the first state of those that are delivered.
    [[nodiscard]] std::expected<void, int> write(std::span<const std::byte> bytes);
    /// The state after power-on, running, from any state.
    void reset();

private:
    [[nodiscard]] std::expected<void, int> stop();
    void forget_data();
    void save();
    [[nodiscard]] bool load_last();
    [[nodiscard]] bool load(std::span<const std::byte> record);

    platform::Device& device_;
    spec::vfio::MigrationState state_ = spec::vfio::MigrationState::kRunning;
    std::vector<std::byte> data_; // empty: nothing is saved yet, or delivered
    std::size_t read_bytes_ = 0;
    bool first_seen_ = false; // of what is delivered
};

} // namespace touka::devices::passthrough
