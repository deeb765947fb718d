// A virtio device for a guest in another process: the back end of a vhost-user connection. (Vhost-user Protocol, QEMU
// docs/interop/vhost-user.rst)
// Absent: packed rings, an IOMMU, in-band notifications, polling without a kick descriptor, back-end requests (a
// configuration change is not told), postcopy.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "devices/virtio/vhost_user/inflight_region.hpp"
#include "devices/virtio/vhost_user/mapped_memory.hpp"
#include "devices/virtio/vhost_user/message_channel.hpp"
#include "devices/virtio/vhost_user/vring.hpp"
#include "devices/virtio/virtio_device.hpp"
#include "runtime/pollable.hpp"
#include "runtime/reactor.hpp"

namespace touka::devices::virtio {

/// The transport between one front-end and one VirtioDevice, from the connection's first byte to its end.
///
/// The peer is not trusted: it gets no byte that it did not share, and what it does wrong ends its own connection. What
/// changes rings or memory waits until nothing is in flight; meanwhile no other message is read. When the connection
/// ends, the device aborts what it has, as after a reset.
/// Rings are polled as long as their driver is quick, and it is asked to be quiet meanwhile. Everything on the reactor.
class VhostUserBackEnd final : private VirtioTransport, private runtime::Pollable {
public:
    /// @param device all of its back end is on the reactor.
    /// @param on_closed called once, from the reactor, when the connection has ended and nothing is in flight: destroy
    ///   this object, but not from within the call.
    VhostUserBackEnd(runtime::Reactor& reactor, runtime::UniqueFd socket, std::unique_ptr<VirtioDevice> device,
                     std::function<void()> on_closed);
    /// @pre on the reactor, nothing in flight: after on_closed, or while no ring runs.
    ~VhostUserBackEnd() override;
    VhostUserBackEnd(const VhostUserBackEnd&) = delete;
    VhostUserBackEnd& operator=(const VhostUserBackEnd&) = delete;

    /// Ends the connection from this side; on_closed follows.
    void close();

    [[nodiscard]] VirtioDevice& device() { return *device_; }
    [[nodiscard]] std::optional<QueueError> last_failure() const { return last_failure_; }

    static constexpr std::uint64_t kProtocolFeatures =
        spec::virtio::VHOST_USER_PROTOCOL_F_MQ | spec::virtio::VHOST_USER_PROTOCOL_F_LOG_SHMFD |
        spec::virtio::VHOST_USER_PROTOCOL_F_REPLY_ACK | spec::virtio::VHOST_USER_PROTOCOL_F_CONFIG |
        spec::virtio::VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD | spec::virtio::VHOST_USER_PROTOCOL_F_RESET_DEVICE |
        spec::virtio::VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS;

private:
    // VirtioTransport
    runtime::Reactor& reactor() override { return reactor_; }
    memory::DmaSpace& dma() override { return memory_; }
    Virtqueue& queue(unsigned index) override { return rings_.at(index)->queue; }
    void publish(unsigned queue_index) override;
    bool active() const override { return !quiescing_ && !failed_ && !closing_; }
    void fail(QueueError error) override;
    void request_finished() override;
    void config_changed() override {}
    void wake_queue(unsigned queue_index) override;

    // Pollable: the rings
    bool poll() override;
    bool fall_asleep() override;
    void wake_up() override;

    /// What became of a message; kRefused is told to a front-end that wants to know.
    enum class Outcome { kDone, kRefused, kReplied, kHostile };

    void on_readable(std::uint32_t epoll_events);
    void take_messages();
    [[nodiscard]] bool needs_quiet(const VhostUserMessage& message) const;
    void handle(VhostUserMessage& message);
    [[nodiscard]] Outcome dispatch(VhostUserMessage& message);
    [[nodiscard]] Outcome reply(const VhostUserMessage& to, std::uint64_t value);

    [[nodiscard]] Outcome set_features(const VhostUserMessage& message);
    [[nodiscard]] Outcome set_memory_table(VhostUserMessage& message);
    [[nodiscard]] Outcome change_region(VhostUserMessage& message, bool add);
    [[nodiscard]] Outcome set_log_base(VhostUserMessage& message);
    [[nodiscard]] Outcome set_ring_state(const VhostUserMessage& message);
    [[nodiscard]] Outcome set_ring_addresses(const VhostUserMessage& message);
    [[nodiscard]] Outcome set_ring_descriptor(VhostUserMessage& message);
    [[nodiscard]] Outcome stop_ring(const VhostUserMessage& message);
    [[nodiscard]] Outcome access_config(const VhostUserMessage& message, bool write);
    [[nodiscard]] Outcome make_inflight(const VhostUserMessage& message);
    [[nodiscard]] Outcome take_inflight(VhostUserMessage& message);
    [[nodiscard]] Outcome disable_rings();
    [[nodiscard]] Outcome reset_device();

    [[nodiscard]] Vring* ring_at(std::uint64_t index);
    [[nodiscard]] bool negotiated(std::uint64_t protocol_feature) const;
    void start_rings();
    void stop_rings();
    void process(unsigned index);
    /// Runs `work` when nothing is in flight, perhaps at once; nothing new is taken meanwhile.
    void when_quiet(std::function<void()> work);
    void run_quiet_work();

    runtime::Reactor& reactor_;
    MessageChannel channel_;
    std::function<void()> on_closed_;
    MappedMemory memory_;
    SharedMapping inflight_;
    std::uint64_t features_ = 0, protocol_features_ = 0;
    std::vector<std::unique_ptr<Vring>> rings_;
    std::unique_ptr<VirtioDevice> device_; // before the rings it works on
    bool worked_ = false;                  // on a ring, since the last look
    bool activated_ = false, failed_ = false, closing_ = false, quiescing_ = false;
    std::function<void()> quiet_work_;
    std::optional<QueueError> last_failure_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true); // what is posted may outlive this object
    std::unique_ptr<runtime::Reactor::Watch> watch_;
    std::unique_ptr<runtime::Reactor::Polling> polling_; // while rings run
};

} // namespace touka::devices::virtio
