// Virtio over PCI Express, modern interface only. (Virtual I/O Device 1.2 §4.1)
// Absent: legacy and transitional interfaces, notification data, queue reset, shared memory regions, administration
// queues.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cpu/doorbell.hpp"
#include "devices/virtio/isr_status.hpp"
#include "devices/virtio/transport_registers.hpp"
#include "devices/virtio/virtio_device.hpp"
#include "memory/dma_space.hpp"
#include "platform/interrupt_line.hpp"
#include "platform/pci/pci_function.hpp"
#include "runtime/guarded.hpp"
#include "runtime/notification.hpp"
#include "runtime/reactor.hpp"

namespace touka::devices::virtio {

/// What a function works with; everything outlives it.
struct VirtioPciContext {
    runtime::Reactor& reactor; ///< whose thread does all the work of the device
    memory::DmaSpace& dma;
    platform::MsiSink& msi;
    cpu::DoorbellRegistry& doorbells;
    /// An IOMMU stands between device and memory: VIRTIO_F_ACCESS_PLATFORM is offered, and a driver that does not take
    /// it refused. (§6.1, §6.2) Not for devices that know guest physical addresses alone: one whose queues another
    /// process has, and the balloon, whose Linux driver refuses the feature.
    bool access_platform = false;
};

/// The transport: register file, queues and interrupts around one VirtioDevice.
///
/// Threads: vCPUs touch the register file (its lock) and raise notifications; queues, and the device behind, belong to
/// the reactor. Starting and resetting cross over with Reactor::run_and_wait, never under the register lock; so the
/// reactor must run as long as a vCPU does. Lock order: configuration lock, registers, ISR, pin; or registers, MSI-X.
/// A queue that a driver broke sets DEVICE_NEEDS_RESET and leaves all queues alone until the driver resets.
class VirtioPciFunction final : public platform::PciFunction, private VirtioTransport {
public:
    /// @param name "virtio-blk@00:03.0".
    VirtioPciFunction(std::string name, std::unique_ptr<VirtioDevice> device, const VirtioPciContext& context);
    ~VirtioPciFunction() override;

    std::uint32_t read_config(std::uint32_t offset, unsigned width_bytes) override;
    void write_config(std::uint32_t offset, unsigned width_bytes, std::uint32_t value) override;

    void start() override { resume(); }
    void pause() override;
    void resume() override;
    void reset() override;
    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

    [[nodiscard]] VirtioDevice& device() { return *device_; }
    /// How often a driver made the device need a reset, and why the last time. Any thread.
    [[nodiscard]] std::uint64_t failure_count() const { return failure_count_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::optional<QueueError> last_failure() const;

    /// Layout of BAR 0: four structures of one page each. BAR 2 holds the MSI-X table.
    static constexpr std::uint32_t kCommonOffset = 0x0000, kIsrOffset = 0x1000, kDeviceOffset = 0x2000,
                                   kNotifyOffset = 0x3000, kStructureBytes = 0x1000, kBarBytes = 0x4000;
    static constexpr std::uint32_t kNotifyMultiplier = 4;
    static constexpr unsigned kRegisterBar = 0, kMsixBar = 2;
    static constexpr unsigned kQueueLimit = kStructureBytes / kNotifyMultiplier;

private:
    class Registers final : public platform::IoHandler {
    public:
        explicit Registers(VirtioPciFunction& function) : function_(function) {}
        [[nodiscard]] std::uint64_t read(std::uint64_t offset, unsigned width_bytes) override;
        void write(std::uint64_t offset, unsigned width_bytes, std::uint64_t value) override;

    private:
        VirtioPciFunction& function_;
    };
    struct QueuePort {
        QueuePort(memory::DmaSpace& dma, std::uint16_t size_limit) : queue(dma, size_limit) {}
        Virtqueue queue;                // reactor
        runtime::Notification doorbell; // signalled by vCPUs, the kernel and the device itself
        std::unique_ptr<runtime::Reactor::Watch> watch;
    };

    // VirtioTransport
    runtime::Reactor& reactor() override { return context_.reactor; }
    memory::DmaSpace& dma() override { return context_.dma; }
    Virtqueue& queue(unsigned index) override { return ports_.at(index)->queue; }
    void publish(unsigned queue_index) override;
    bool active() const override;
    void fail(QueueError error) override;
    void request_finished() override;
    void config_changed() override;
    void interrupt_driver(unsigned queue_index) override;
    void wake_queue(unsigned queue_index) override { ports_.at(queue_index)->doorbell.signal(); }

    // PciFunction
    void bar_mapped(unsigned index, std::uint64_t address) override;
    void bar_unmapped(unsigned index, std::uint64_t address) override;
    void bus_master_granted() override { wake_all(); }
    void function_level_reset() override;

    void add_structures();
    [[nodiscard]] std::uint32_t add_structure(spec::virtio::StructureType type, std::uint32_t offset,
                                              std::uint32_t length, std::uint32_t extra_bytes = 0);
    [[nodiscard]] bool covers_window_data(std::uint32_t offset, unsigned width_bytes) const;
    /// The access that VIRTIO_PCI_CAP_PCI_CFG describes, if it is a valid one.
    struct WindowAccess {
        platform::IoHandler* handler;
        std::uint64_t offset;
        unsigned width_bytes;
    };
    [[nodiscard]] std::optional<WindowAccess> window_access();

    void write_common(std::uint32_t offset, unsigned width_bytes, std::uint64_t value);
    [[nodiscard]] cpu::Doorbell doorbell_of(std::size_t queue_index, std::uint64_t bar_address) const;
    void interrupt(std::uint16_t vector, std::uint8_t isr_bit);
    void wake_all();

    // Reactor
    void on_doorbell(unsigned index);
    void start_queues(const std::vector<QueuePosition>& positions);
    void start_foreign_queues(const std::vector<QueuePosition>& positions);
    void begin_reset();
    void finish_reset();

    VirtioPciContext context_;
    std::unique_ptr<VirtioDevice> device_;
    Registers registers_{*this};
    mutable runtime::Guarded<TransportRegisters> common_;
    IsrStatus isr_;
    std::vector<std::unique_ptr<QueuePort>> ports_;
    std::uint32_t window_capability_ = 0;

    // Reactor
    bool running_ = false; // the driver is ready
    bool paused_ = true;   // until start()
    bool failed_ = false;
    bool reset_pending_ = false;
    std::vector<QueuePosition> resting_; // foreign queues' of a device that was restored and does not run yet

    std::atomic<std::uint64_t> failure_count_{0};
    std::atomic<int> last_failure_{-1}; // statistics: pair with nothing

    // pause() waits until the last request is done; the mutex guards idle_.
    std::mutex idle_mutex_;
    std::condition_variable idle_changed_;
    bool idle_ = true;
};

} // namespace touka::devices::virtio
