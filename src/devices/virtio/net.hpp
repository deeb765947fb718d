// Network card over a network::FramePort. (Virtual I/O Device 1.2 §5.1)
// Absent: control queue (so no MAC filtering: every frame of the port is received), multiqueue, MTU, RSS, UFO and USO.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "devices/virtio/virtio_device.hpp"
#include "network/frame_port.hpp"
#include "network/mac_address.hpp"
#include "spec/virtio/network.hpp"

namespace touka::devices::virtio {

using network::MacAddress;

struct NetState {
    static constexpr std::uint16_t kVersion = 1;
    MacAddress mac{};
    bool link_up = true;
    void describe(auto& archive) { archive(mac, link_up); }
};

/// Frames go between the queues and the port without a copy of their payload on the way out; the 12-byte header is
/// copied once and checked against the offloads that were negotiated. On the reactor of its transport, which is the
/// port's, too.
class Net final : public VirtioDevice {
public:
    /// @param port outlives the device.
    Net(network::FramePort& port, const MacAddress& mac);
    ~Net() override;

    /// The cable. Down: frames of both directions are dropped, and the driver is told. Any thread.
    void set_link(bool up);

    [[nodiscard]] spec::virtio::DeviceId device_id() const override { return spec::virtio::DeviceId::kNetwork; }
    [[nodiscard]] std::uint32_t pci_class_code() const override;
    [[nodiscard]] std::uint64_t device_features() const override;
    [[nodiscard]] std::vector<std::uint16_t> queue_sizes() const override { return {kQueueSize, kQueueSize}; }
    void read_config(std::uint32_t offset, std::span<std::byte> to) const override;

    void connect(VirtioTransport& transport) override;
    void activate(std::uint64_t features) override;
    [[nodiscard]] bool process_queue(unsigned index) override;
    void reset() override;

    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

    static constexpr std::uint16_t kQueueSize = 256;

private:
    void transmit(DescriptorChain& chain);
    [[nodiscard]] bool acceptable(const spec::virtio::NetworkHeader& header) const;
    /// @return false when the driver has no buffers now: the port keeps the frame.
    [[nodiscard]] bool receive(std::span<const std::byte> header_and_frame);
    enum class Gathered { kEnough, kTooFew, kNever, kFailed };
    [[nodiscard]] Gathered gather(std::size_t needed_bytes);
    void scatter(std::span<const std::byte> header_and_frame);

    network::FramePort& port_;
    MacAddress mac_;
    std::atomic<bool> link_up_{true}; // read by vCPUs in the configuration; pairs with nothing else
    VirtioTransport* transport_ = nullptr;
    std::uint64_t features_ = 0;
    DescriptorChain transmitted_;
    std::vector<DescriptorChain> received_; // the chains of the frame at hand: received_count_ of them
    std::size_t received_count_ = 0;
    std::vector<iovec> outgoing_;
};

} // namespace touka::devices::virtio
