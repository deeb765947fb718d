// Console with one port over a runtime::ByteStream. (Virtual I/O Device 1.2 §5.3)
// Absent: MULTIPORT and its control queues, EMERG_WRITE.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "devices/virtio/virtio_device.hpp"
#include "runtime/byte_stream.hpp"
#include "runtime/guarded.hpp"
#include "spec/virtio/console.hpp"

namespace touka::devices::virtio {

struct ConsoleState {
    static constexpr std::uint16_t kVersion = 1;
    std::vector<std::byte> input; ///< typed, and not yet taken by the driver
    void describe(auto& archive) { archive(input); }
};

class Console final : public VirtioDevice {
public:
    /// @param stream outlives the device; it may live on another reactor.
    explicit Console(runtime::ByteStream& stream);
    ~Console() override;

    /// The terminal's size in characters, as the driver sees it. Any thread.
    void set_size(std::uint16_t columns, std::uint16_t rows);

    [[nodiscard]] spec::virtio::DeviceId device_id() const override { return spec::virtio::DeviceId::kConsole; }
    [[nodiscard]] std::uint32_t pci_class_code() const override;
    [[nodiscard]] std::uint64_t device_features() const override { return spec::virtio::VIRTIO_CONSOLE_F_SIZE; }
    [[nodiscard]] std::vector<std::uint16_t> queue_sizes() const override { return {kQueueSize, kQueueSize}; }
    void read_config(std::uint32_t offset, std::span<std::byte> to) const override;

    void connect(VirtioTransport& transport) override;
    void activate(std::uint64_t) override {}
    [[nodiscard]] bool process_queue(unsigned index) override;
    void reset() override {}

    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

    static constexpr std::uint16_t kQueueSize = 64;
    static constexpr std::size_t kInputLimitBytes = 4096;
    /// What one request may print; drivers send 32 KiB at most. The rest of a longer one is dropped.
    static constexpr std::size_t kOutputLimitBytes = 1 << 20;

private:
    [[nodiscard]] std::size_t take_input(std::span<const std::byte> bytes);
    [[nodiscard]] bool deliver_input();
    [[nodiscard]] bool transmit();

    runtime::ByteStream& stream_;
    VirtioTransport* transport_ = nullptr;
    mutable runtime::Guarded<std::vector<std::byte>> input_; // filled on the stream's reactor, emptied on ours
    std::atomic<std::uint32_t> size_{0};                     // columns, and rows in the upper half: one value, one read
    DescriptorChain chain_;
};

} // namespace touka::devices::virtio
