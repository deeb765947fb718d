// Entropy device over the kernel's random number generator. (Virtual I/O Device 1.2 §5.4)
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "devices/virtio/virtio_device.hpp"

namespace touka::devices::virtio {

class Entropy final : public VirtioDevice {
public:
    /// Fills the bytes with random ones; @return false when it cannot now.
    using Source = std::function<bool(std::span<std::byte>)>;
    /// @param source getrandom(2), if none is given.
    explicit Entropy(Source source = {});

    [[nodiscard]] spec::virtio::DeviceId device_id() const override { return spec::virtio::DeviceId::kEntropy; }
    [[nodiscard]] std::uint32_t pci_class_code() const override;
    [[nodiscard]] std::uint64_t device_features() const override { return 0; }
    [[nodiscard]] std::vector<std::uint16_t> queue_sizes() const override { return {kQueueSize}; }
    void read_config(std::uint32_t, std::span<std::byte> to) const override;

    void connect(VirtioTransport& transport) override { transport_ = &transport; }
    void activate(std::uint64_t) override {}
    [[nodiscard]] bool process_queue(unsigned index) override;
    void reset() override {}

    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

    static constexpr std::uint16_t kQueueSize = 64;
    /// A request gets this much at most, and fewer requests a turn, so that no guest keeps the reactor busy.
    static constexpr std::size_t kRequestLimitBytes = 4096;
    static constexpr unsigned kRequestsPerTurn = 16;

private:
    Source source_;
    VirtioTransport* transport_ = nullptr;
    DescriptorChain chain_;
};

} // namespace touka::devices::virtio
