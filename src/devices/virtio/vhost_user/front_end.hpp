// A SCSI host device whose work is done by another process: the front end of a vhost-user connection. (Vhost-user
// Protocol, QEMU docs/interop/vhost-user.rst)
// Absent: back-end requests, an IOMMU, the driver's interrupts straight from the back-end's eventfd (they pass this
// process's reactor).
#pragma once

#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "devices/virtio/vhost_user/message_channel.hpp"
#include "devices/virtio/virtio_device.hpp"
#include "memory/guest_memory.hpp"
#include "runtime/guarded.hpp"
#include "runtime/notification.hpp"
#include "runtime/shared_mapping.hpp"
#include "spec/virtio/scsi.hpp"

namespace touka::devices::virtio {

using runtime::SharedMapping;

struct VhostUserConfiguration {
    std::string socket_path;
    /// The back-end logs what it writes, and it is passed on to GuestMemory::written before the driver is interrupted.
    /// For software engines, which must drop stale code, and for migration. A driver that polls may see data before
    /// that.
    bool log_writes = false;
    std::uint32_t answer_limit_ms = 5'000; ///< to the questions at the start
    std::uint32_t retry_ms = 100;
};

/// Guest memory, rings and doorbells go to the back-end as descriptors; then it and the driver are by themselves. When
/// the back-end goes away, the driver's requests wait: the connection is tried again until there is a back-end, which
/// gets everything anew, with the record of what was in flight, and nothing is lost (INFLIGHT_SHMFD).
/// The record is kept until the driver resets the device.
class VhostUserScsi final : public VirtioDevice, private ForeignQueues {
public:
    /// Connects and asks what the device is; blocks.  @param memory outlives the device.
    /// @return what is wrong with the socket or the back-end.
    [[nodiscard]] static std::expected<std::unique_ptr<VhostUserScsi>, std::string>
    create(const VhostUserConfiguration& configuration, memory::GuestMemory& memory);
    ~VhostUserScsi() override;

    [[nodiscard]] spec::virtio::DeviceId device_id() const override { return spec::virtio::DeviceId::kScsi; }
    [[nodiscard]] std::uint32_t pci_class_code() const override;
    [[nodiscard]] std::uint64_t device_features() const override;
    [[nodiscard]] std::vector<std::uint16_t> queue_sizes() const override;
    void read_config(std::uint32_t offset, std::span<std::byte> to) const override;
    void write_config(std::uint32_t offset, std::span<const std::byte> from) override;

    void connect(VirtioTransport& transport) override;
    void activate(std::uint64_t) override {}
    [[nodiscard]] bool process_queue(unsigned) override { return false; }
    [[nodiscard]] ForeignQueues* foreign_queues() override { return this; }
    [[nodiscard]] std::size_t in_flight() const override { return outstanding_; }
    void abort_all() override;
    void reset() override;

    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

    [[nodiscard]] bool connected() const { return channel_ != nullptr; }

private:
    /// What the back-end said about its device when it was asked first.
    struct Nature {
        std::uint64_t features = 0, protocol_features = 0;
        std::uint64_t queue_count = 0;
        spec::virtio::ScsiConfig config{};
    };
    struct Ring {
        Queue queue;
        bool running = false; // as far as the driver and this process are concerned
        std::uint16_t base = 0;
        runtime::Notification call, error;
        std::unique_ptr<runtime::Reactor::Watch> call_watch, error_watch;
    };
    using OnReply = std::function<void(VhostUserMessage&)>;

    VhostUserScsi(const VhostUserConfiguration& configuration, memory::GuestMemory& memory,
                  std::unique_ptr<MessageChannel> channel, const Nature& nature);
    [[nodiscard]] static std::expected<std::unique_ptr<MessageChannel>, std::string> dial(const std::string& path);
    [[nodiscard]] static std::expected<Nature, std::string> ask_nature(MessageChannel& channel,
                                                                       std::uint32_t answer_limit_ms);

    // ForeignQueues
    void start(std::uint64_t features, const std::vector<Queue>& queues) override;
    void stop() override;
    [[nodiscard]] QueuePosition position(unsigned index) const override;

    void watch_channel();
    void on_readable();
    void on_lost();
    void reconnect();
    /// The memory, then whatever runs: for a connection that knows nothing yet.
    void introduce();
    void share_memory();
    void share_log();
    void share_inflight_buffer();
    /// With a buffer for what is in flight, got from the back-end if there is none.
    void begin_rings();
    void start_rings();
    void start_ring(unsigned index);
    void stop_rings();
    void forget_rings();
    void finish_one();
    void harvest_log();

    template <class T>
    void send(VhostUserRequest request, const T& payload, std::span<const int> descriptors = {}) {
        if (channel_ && !channel_->send(request, 0, payload, descriptors)) lost_ = true;
    }
    template <class T>
    void ask(VhostUserRequest request, const T& payload, OnReply on_reply) {
        send(request, payload);
        replies_.push_back({request, std::move(on_reply), epoch_});
    }
    [[nodiscard]] std::optional<std::uint64_t> user_address(memory::Iova address, std::uint64_t length_bytes) const;

    VhostUserConfiguration configuration_;
    memory::GuestMemory& memory_;
    Nature nature_;
    mutable runtime::Guarded<spec::virtio::ScsiConfig> config_;
    VirtioTransport* transport_ = nullptr;
    std::unique_ptr<MessageChannel> channel_; // null while there is no back-end
    std::vector<std::unique_ptr<Ring>> rings_;
    std::uint64_t features_ = 0;
    struct Expected {
        VhostUserRequest request;
        OnReply on_reply;
        std::uint64_t epoch;
    };
    std::deque<Expected> replies_;
    runtime::UniqueFd inflight_file_;
    spec::virtio::VhostUserInflight inflight_shape_{};
    runtime::UniqueFd log_file_;
    SharedMapping log_;
    std::size_t outstanding_ = 0; // stops and resets that were not answered yet
    std::uint64_t epoch_ = 0;     // of resets: stops that were asked for before the last one matter no more
    bool stopping_ = false;       // the rings are to come to rest
    bool touched_ = false;        // something has to be reset
    bool introduced_ = false;     // this back-end has been told of the rings
    bool lost_ = false;
    std::unique_ptr<runtime::Timer> timer_;
    std::unique_ptr<runtime::Reactor::Watch> watch_;
};

} // namespace touka::devices::virtio
