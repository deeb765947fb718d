// The two sides of a virtio device: what one type of device does, and the transport that it hangs on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <span>
#include <vector>

#include "devices/virtio/virtqueue.hpp"
#include "migration/record.hpp"
#include "runtime/notification.hpp"
#include "runtime/reactor.hpp"
#include "spec/virtio/virtio.hpp"

namespace touka::devices::virtio {

/// What a device type gets from its transport. On the device's reactor, but for the two of any thread.
class VirtioTransport {
public:
    virtual ~VirtioTransport() = default;
    [[nodiscard]] virtual runtime::Reactor& reactor() = 0;
    [[nodiscard]] virtual memory::DmaSpace& dma() = 0;
    [[nodiscard]] virtual Virtqueue& queue(unsigned index) = 0;
    /// Publishes what was pushed to the queue and interrupts the driver if it wants to know.
    virtual void publish(unsigned queue_index) = 0;
    /// Whether queues may be touched: the driver is ready, the machine not paused, the device not failed.
    [[nodiscard]] virtual bool active() const = 0;
    /// The driver did something that the device cannot work on from: DEVICE_NEEDS_RESET.
    virtual void fail(QueueError error) = 0;
    /// A request that was in flight is done: somebody may wait for the last one.
    virtual void request_finished() = 0;
    /// The device's configuration changed. Any thread.
    virtual void config_changed() = 0;
    /// The driver is interrupted for a queue that somebody else has (ForeignQueues), who said that it wants to know.
    virtual void interrupt_driver(unsigned) {}
    /// Has the queue processed soon on the reactor, as if the driver had notified it. Any thread.
    virtual void wake_queue(unsigned queue_index) = 0;
};

/// Queues that another process works on. The transport hands them over as the driver set them up, and leaves them and
/// their doorbells alone. On the device's reactor.
class ForeignQueues {
public:
    struct Queue {
        bool enabled = false;
        QueueSetup setup;
        QueuePosition position;
        const runtime::Notification* doorbell = nullptr; ///< outlives the device
    };
    virtual ~ForeignQueues() = default;
    /// Has the enabled queues worked on that are not yet.
    virtual void start(std::uint64_t features, const std::vector<Queue>& queues) = 0;
    /// Has none worked on; the device's in_flight() is above 0 until they have come to rest.
    virtual void stop() = 0;
    /// @pre at rest.
    [[nodiscard]] virtual QueuePosition position(unsigned index) const = 0;
};

/// One type of virtio device behind any transport. Calls come on the device's reactor, but for the configuration
/// (vCPU threads, several at once) and save, restore (control thread, while paused).
class VirtioDevice {
public:
    virtual ~VirtioDevice() = default;
    [[nodiscard]] virtual spec::virtio::DeviceId device_id() const = 0;
    [[nodiscard]] virtual std::uint32_t pci_class_code() const = 0;
    /// Features of the device type; the transport adds its own.
    [[nodiscard]] virtual std::uint64_t device_features() const = 0;
    /// The largest size of each queue, a power of two.
    [[nodiscard]] virtual std::vector<std::uint16_t> queue_sizes() const = 0;

    /// The device-specific configuration; beyond its end it reads zero.
    virtual void read_config(std::uint32_t offset, std::span<std::byte> to) const = 0;
    virtual void write_config(std::uint32_t, std::span<const std::byte>) {}

    /// Once, before anything else. @param transport outlives the device.
    virtual void connect(VirtioTransport& transport) = 0;
    /// The driver is ready; queues run. @param features what it chose.
    virtual void activate(std::uint64_t features) = 0;
    /// Takes what is in the queue, up to a bounded amount.
    /// @return true when there is more: called again after others had their turn.
    [[nodiscard]] virtual bool process_queue(unsigned index) = 0;
    /// For a device whose queues are another process's; process_queue is never called then.
    [[nodiscard]] virtual ForeignQueues* foreign_queues() { return nullptr; }
    /// Requests whose buffers the device still uses. The transport waits for 0 before a reset or pause completes.
    [[nodiscard]] virtual std::size_t in_flight() const { return 0; }
    /// A reset has begun and waits for what is in flight: whatever can be aborted is.
    virtual void abort_all() {}
    /// As after power-on. @pre nothing in flight.
    virtual void reset() = 0;

    /// @return a record whose name is unused: the transport carries it in its own.
    [[nodiscard]] virtual migration::Record save() const = 0;
    [[nodiscard]] virtual std::expected<void, migration::RestoreError> restore(const migration::Record& record) = 0;

protected:
    /// Chains handled in one turn, so that one busy queue cannot keep the reactor.
    static constexpr unsigned kTurnBudget = 256;

    template <class Config>
    static void copy_config(const Config& config, std::uint32_t offset, std::span<std::byte> to) {
        const auto image = std::as_bytes(std::span(&config, 1));
        for (std::size_t i = 0; i < to.size(); ++i)
            to[i] = offset + i < image.size() ? image[offset + i] : std::byte{0};
    }
};

/// The saved state of a device type that keeps nothing between requests.
struct StatelessState {
    static constexpr std::uint16_t kVersion = 1;
    void describe(auto&) {}
};

} // namespace touka::devices::virtio
