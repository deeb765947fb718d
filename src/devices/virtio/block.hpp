// Block device over a storage::BlockDevice. (Virtual I/O Device 1.2 §5.2)
// Absent: SIZE_MAX, GEOMETRY, CONFIG_WCE, SECURE_ERASE, lifetime and zoned commands; a discard or write zeroes request
// has one range. A driver that does not negotiate FLUSH gets every write stable before it completes (§5.2.6.2).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "devices/virtio/virtio_device.hpp"
#include "spec/virtio/block.hpp"
#include "storage/block_device.hpp"

namespace touka::devices::virtio {

struct BlockConfiguration {
    std::uint16_t queue_count = 1; ///< one for each vCPU
    std::string serial;            ///< what GET_ID answers; the first 20 bytes
};

/// The status that the driver sees for what became of its request: the only place where one becomes the other.
[[nodiscard]] std::uint8_t block_status(storage::BlockStatus status);

/// Every request goes to the volume as the guest made it, its buffers included; a write completes when the volume
/// says that it did, a flush is a flush (rule T3). On the reactor of its transport, which is the volume's, too.
class Block final : public VirtioDevice {
public:
    /// @param volume outlives the device, and completes nothing after the device is gone: pause before destroying.
    Block(storage::BlockDevice& volume, const BlockConfiguration& configuration);
    ~Block() override;

    [[nodiscard]] spec::virtio::DeviceId device_id() const override { return spec::virtio::DeviceId::kBlock; }
    [[nodiscard]] std::uint32_t pci_class_code() const override;
    [[nodiscard]] std::uint64_t device_features() const override;
    [[nodiscard]] std::vector<std::uint16_t> queue_sizes() const override;
    void read_config(std::uint32_t offset, std::span<std::byte> to) const override;

    void connect(VirtioTransport& transport) override { transport_ = &transport; }
    void activate(std::uint64_t features) override;
    [[nodiscard]] bool process_queue(unsigned index) override;
    [[nodiscard]] std::size_t in_flight() const override { return in_flight_; }
    void reset() override {}

    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

    static constexpr std::uint16_t kQueueSize = 256;
    static constexpr std::uint32_t kSegmentLimit = kQueueSize - 2; ///< beside header and status

private:
    struct Slot;
    struct Queue {
        std::vector<std::unique_ptr<Slot>> slots; // one for each descriptor and one to look at the next with
        std::vector<Slot*> free;
    };

    void handle(Slot& slot);
    void handle_transfer(Slot& slot, storage::BlockOperation operation, std::uint64_t sector);
    void handle_range(Slot& slot, storage::BlockOperation operation);
    void handle_identity(Slot& slot);
    void submit(Slot& slot);
    void complete(Slot& slot, std::uint8_t status, std::uint64_t data_written_bytes);

    storage::BlockDevice& volume_;
    std::string serial_;
    spec::virtio::BlockConfig config_{};
    VirtioTransport* transport_ = nullptr;
    std::vector<Queue> queues_;
    bool write_through_ = false;         // the driver cannot flush
    std::optional<unsigned> processing_; // this queue is published at the end of each batch
    std::size_t in_flight_ = 0;
};

} // namespace touka::devices::virtio
