// A virtual card's plug in a network of its own, which reaches the host's networks with a plain user's rights:
// DHCP 10.0.2.15, gateway 10.0.2.2 (the host), DNS 10.0.2.3, TCP, UDP, and ICMP echo where the host lets users
// send it (net.ipv4.ping_group_range). The work is libslirp's, in a process of its own, touka-usernet, which is
// sandboxed and dies with this one.
// Absent: IPv6; connections from outside other than by port forwards.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "network/frame_port.hpp"
#include "network/usernet_process.hpp"
#include "runtime/reactor.hpp"

namespace touka::network {

/// Everything on one reactor's thread, which must outlive the port. When the helper dies it is started again, at
/// growing intervals; frames in between are lost and the guest's connections reset, the guest's addresses stay.
class UserPort final : public FramePort {
public:
    using Options = UsernetProcess::Options;
    /// Starts the helper and waits until it serves. Call before the guest runs, not on the reactor's thread.
    /// @return the port, or for the user what is wrong: which forwarded port is in use, no helper program.
    [[nodiscard]] static std::expected<std::unique_ptr<UserPort>, std::string> create(runtime::Reactor& reactor,
                                                                                      Options options);
    ~UserPort() override;

    bool send(std::span<const iovec> header_and_frame) override;
    void set_receiver(std::function<bool(std::span<const std::byte>)> on_frame) override;
    void resume() override;
    [[nodiscard]] std::uint64_t offload_features() const override;
    void set_offloads(std::uint64_t features) override;

    /// How often the helper was started again, and its process now (-1: none). On the reactor's thread.
    [[nodiscard]] std::uint32_t restart_count() const { return restart_count_; }
    [[nodiscard]] pid_t helper_pid() const { return process_ ? process_->pid() : -1; }

private:
    static constexpr std::size_t kBatch = 16;
    static constexpr std::uint64_t kFirstDelayNs = 20'000'000, kLongestDelayNs = 10'000'000'000;

    UserPort(runtime::Reactor& reactor, Options options);
    std::expected<void, std::string> start();
    void announce_offloads();
    void listen();
    void read_batch();
    void deliver();
    bool take_message(std::span<std::byte> message);
    void on_helper_gone();
    void restart();

    runtime::Reactor& reactor_;
    Options options_;
    std::optional<UsernetProcess> process_;
    bool serving_ = false; // its first message came
    std::function<bool(std::span<const std::byte>)> on_frame_;
    std::uint64_t offloads_ = 0;
    bool offloads_announced_ = false;

    std::vector<std::byte> buffers_;
    std::array<iovec, kBatch> vectors_{};
    std::array<mmsghdr, kBatch> messages_{};
    std::size_t message_count_ = 0, next_message_ = 0; // read; delivered so far

    std::uint32_t restart_count_ = 0;
    std::uint64_t started_ns_ = 0;
    std::uint64_t delay_ns_ = kFirstDelayNs;
    std::unique_ptr<runtime::Timer> restart_timer_;
    std::unique_ptr<runtime::Reactor::Watch> watch_; // none while the card has no room
};

} // namespace touka::network
