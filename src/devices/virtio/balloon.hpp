// Memory balloon, with free page reporting. (Virtual I/O Device 1.2 §5.5)
// Absent: statistics, free page hinting, page poisoning, MUST_TELL_HOST (a deflated page comes back when touched).
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "devices/virtio/virtio_device.hpp"
#include "spec/virtio/balloon.hpp"

namespace touka::devices::virtio {

/// Takes pages that the guest does not use off the host.
class BalloonMemory {
public:
    virtual ~BalloonMemory() = default;
    /// Gives the host memory behind guest RAM back; it reads as zeros, or what it was, when the guest touches it
    /// again. On the device's reactor.
    /// @param pages whole pages of guest RAM, one piece of DmaSpace::translate or part of one.
    virtual void discard(std::span<std::byte> pages) = 0;
};

struct BalloonState {
    static constexpr std::uint16_t kVersion = 1;
    std::uint32_t num_pages = 0;
    std::uint32_t actual = 0;
    void describe(auto& archive) { archive(num_pages, actual); }
};

class Balloon final : public VirtioDevice {
public:
    /// @param memory outlives the device.
    explicit Balloon(BalloonMemory& memory) : memory_(memory) {}

    /// How much the guest is asked to give up. Any thread.
    void set_target_bytes(std::uint64_t bytes);
    /// How much the driver says that it has given up. Any thread.
    [[nodiscard]] std::uint64_t actual_bytes() const;

    [[nodiscard]] spec::virtio::DeviceId device_id() const override { return spec::virtio::DeviceId::kBalloon; }
    [[nodiscard]] std::uint32_t pci_class_code() const override;
    [[nodiscard]] std::uint64_t device_features() const override;
    [[nodiscard]] std::vector<std::uint16_t> queue_sizes() const override;
    void read_config(std::uint32_t offset, std::span<std::byte> to) const override;
    void write_config(std::uint32_t offset, std::span<const std::byte> from) override;

    void connect(VirtioTransport& transport) override { transport_ = &transport; }
    void activate(std::uint64_t features) override { features_ = features; }
    [[nodiscard]] bool process_queue(unsigned index) override;
    void reset() override;

    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

    static constexpr std::uint16_t kQueueSize = 128;
    static constexpr unsigned kRequestsPerTurn = 16;

private:
    void inflate(DescriptorChain& chain);
    void discard_page(std::uint32_t frame_number);
    void report(const DescriptorChain& chain);

    BalloonMemory& memory_;
    VirtioTransport* transport_ = nullptr;
    std::uint64_t features_ = 0;
    std::atomic<std::uint32_t> num_pages_{0}; // set by the host, read by vCPUs; each a value of its own
    std::atomic<std::uint32_t> actual_{0};    // set by vCPUs
    DescriptorChain chain_;
};

} // namespace touka::devices::virtio
