// The guest's side, for tests and fuzz targets: a small machine, and a driver that works a virtio function through the
// configuration window and its BARs as a real one does. Everything of the driver runs on the test's thread.
#pragma once

#include <chrono>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "devices/virtio/virtio_pci_function.hpp"
#include "memory/dma_space.hpp"
#include "memory/guest_memory.hpp"
#include "platform/pci/pci_root.hpp"
#include "platform/recording_line.hpp"
#include "platform/recording_messages.hpp"
#include "runtime/reactor.hpp"
#include "spec/pci/capability.hpp"
#include "spec/virtio/pci_transport.hpp"
#include "spec/virtio/split_queue.hpp"

namespace touka::devices::virtio::test {

;

/// RAM, address spaces, a PCI root and one reactor.
struct TestMachine {
    static constexpr std::uint64_t kRamBytes = 4 << 20;
    std::unique_ptr<memory::GuestMemory> ram = memory::GuestMemory::create(kRamBytes).value();
    memory::IdentityDmaSpace dma{*ram};
    platform::AddressSpace memory, ports;
    platform::RecordingMessages messages;
    platform::RecordingLine line;
    cpu::DoorbellRegistry doorbells;
    runtime::Reactor reactor{"test"};
    platform::PciRoot root{memory, ports, config()};

    [[nodiscard]] VirtioPciContext context() { return {reactor, dma, messages, doorbells}; }
    /// Returns when the reactor has handled every notification that was raised before.
    void flush() {
        for (int i = 0; i < 3; ++i) reactor.run_and_wait([] {});
    }

private:
    platform::PciRootConfig config() {
        platform::PciRootConfig result;
        result.interrupt_inputs.fill(&line);
        return result;
    }
};

struct Segment {
    std::uint64_t address = 0;
    std::uint32_t length = 0;
    bool writable = false;
};

/// Drives one function at 00:03.0.
class TestDriver {
public:
    static constexpr platform::PciAddress kPlace{0, 3, 0};
    static constexpr std::uint64_t kMessageAddress = 0xFEE0'0000;
    static constexpr std::uint32_t kFirstMessage = 0x40; ///< data of vector 0; vector 0 is the configuration's

    TestDriver(TestMachine& machine, VirtioPciFunction& function) : machine_(machine) {
        (void)machine.root.plug(kPlace, function);
        function.start();
    }
    ~TestDriver() { machine_.root.unplug(kPlace); }

    [[nodiscard]] std::uint32_t config_read(std::uint32_t offset, unsigned width) {
        return static_cast<std::uint32_t>(machine_.memory.read(ecam(offset), width));
    }
    void config_write(std::uint32_t offset, unsigned width, std::uint32_t value) {
        machine_.memory.write(ecam(offset), width, value);
    }
    [[nodiscard]] std::uint32_t find_capability(spec::pci::CapabilityId id) {
        std::uint32_t at = config_read(spec::pci::offset::kCapabilitiesPointer, 1);
        while (at != 0 && config_read(at, 1) != std::to_underlying(id)) at = config_read(at + 1, 1);
        return at;
    }
    [[nodiscard]] std::uint64_t bar(unsigned index) {
        const std::uint32_t low = config_read(spec::pci::offset::kBar0 + 4 * index, 4);
        const bool wide = (low & spec::pci::kBarMemory64) != 0;
        const std::uint64_t high = wide ? config_read(spec::pci::offset::kBar0 + 4 * index + 4, 4) : 0;
        return (low & spec::pci::kBarMemoryMask) | high << 32;
    }

    /// Memory space and bus mastering on; every vector programmed and unmasked.
    void enable(bool with_msix = true) {
        config_write(spec::pci::offset::kCommand, 2, 0x0006);
        base_ = bar(VirtioPciFunction::kRegisterBar);
        if (!with_msix) return;
        const std::uint32_t msix = find_capability(spec::pci::CapabilityId::kMsix);
        const std::uint64_t table = bar(VirtioPciFunction::kMsixBar);
        const unsigned count = (config_read(msix + 2, 2) & 0x7FF) + 1;
        for (std::uint64_t i = 0; i < count; ++i) {
            machine_.memory.write(table + 16 * i, 8, kMessageAddress);
            machine_.memory.write(table + 16 * i + 8, 4, kFirstMessage + i);
            machine_.memory.write(table + 16 * i + 12, 4, 0);
        }
        config_write(msix + 2, 2, 0x8000);
    }
    using Register = spec::virtio::CommonRegister;
    [[nodiscard]] std::uint64_t read(Register at, unsigned width) {
        return machine_.memory.read(base_ + std::to_underlying(at), width);
    }
    void write(Register at, unsigned width, std::uint64_t value) {
        machine_.memory.write(base_ + std::to_underlying(at), width, value);
    }
    [[nodiscard]] std::uint8_t status() { return static_cast<std::uint8_t>(read(Register::device_status, 1)); }
    void add_status(std::uint8_t bits) { write(Register::device_status, 1, status() | bits); }
    [[nodiscard]] std::uint64_t device_features() {
        write(Register::device_feature_select, 4, 0);
        const std::uint64_t low = read(Register::device_feature, 4);
        write(Register::device_feature_select, 4, 1);
        return low | read(Register::device_feature, 4) << 32;
    }
    /// Reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK. @return whether the device accepted.
    bool negotiate(std::uint64_t features) {
        using namespace spec::virtio;
        write(Register::device_status, 1, 0);
        for (int i = 0; i < 1000 && status() != 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        add_status(device_status::ACKNOWLEDGE);
        add_status(device_status::DRIVER);
        for (unsigned i = 0; i < 2; ++i) {
            write(Register::driver_feature_select, 4, i);
            write(Register::driver_feature, 4, (features >> (32 * i)) & 0xFFFF'FFFF);
        }
        add_status(device_status::FEATURES_OK);
        return (status() & device_status::FEATURES_OK) != 0;
    }
    void driver_ok() {
        add_status(spec::virtio::device_status::DRIVER_OK);
        machine_.flush();
    }
    [[nodiscard]] bool needs_reset() {
        machine_.flush();
        return (status() & spec::virtio::device_status::DEVICE_NEEDS_RESET) != 0;
    }

    /// The guest's RAM.
    [[nodiscard]] std::byte* at(std::uint64_t address) { return machine_.ram->base() + address; }
    template <class T>
    [[nodiscard]] T load(std::uint64_t address) {
        T value;
        std::memcpy(&value, at(address), sizeof value);
        return value;
    }
    template <class T>
    void store(std::uint64_t address, const T& value) {
        std::memcpy(at(address), &value, sizeof value);
    }
    /// Zeroed RAM that nobody else uses.
    [[nodiscard]] std::uint64_t allocate(std::uint64_t length_bytes) {
        const std::uint64_t address = (next_free_ + 4095) / 4096 * 4096;
        next_free_ = address + length_bytes;
        std::memset(at(address), 0, length_bytes);
        return address;
    }

    struct Queue {
        std::uint16_t index = 0, size = 0;
        std::uint64_t descriptors = 0, avail = 0, used = 0;
        std::uint16_t next_descriptor = 0, avail_index = 0, used_index = 0;
    };
    [[nodiscard]] Queue make_queue(std::uint16_t index, std::uint16_t size) {
        Queue queue{.index = index, .size = size};
        queue.descriptors = allocate(spec::virtio::descriptor_table_bytes(size));
        queue.avail = allocate(spec::virtio::avail_ring_bytes(size));
        queue.used = allocate(spec::virtio::used_ring_bytes(size));
        return queue;
    }
    /// Tells the device where the queue is, with vector index + 1, and enables it.
    void program(const Queue& queue) {
        write(Register::queue_select, 2, queue.index);
        write(Register::queue_size, 2, queue.size);
        write(Register::queue_msix_vector, 2, queue.index + 1u);
        write(Register::queue_desc, 8, queue.descriptors);
        write(Register::queue_driver, 8, queue.avail);
        write(Register::queue_device, 8, queue.used);
        write(Register::queue_enable, 2, 1);
    }
    [[nodiscard]] Queue add_queue(std::uint16_t index, std::uint16_t size) {
        const Queue queue = make_queue(index, size);
        program(queue);
        return queue;
    }
    /// From a fresh device to DRIVER_OK with `count` queues of `size`, then `more` of `more_size`.
    std::vector<Queue> bring_up(std::uint64_t features, unsigned count, std::uint16_t size, unsigned more = 0,
                                std::uint16_t more_size = 0) {
        enable();
        (void)negotiate(features | spec::virtio::VIRTIO_F_VERSION_1);
        write(Register::config_msix_vector, 2, 0);
        std::vector<Queue> queues;
        for (unsigned i = 0; i < count + more; ++i) {
            queues.push_back(add_queue(static_cast<std::uint16_t>(i), i < count ? size : more_size));
        }
        driver_ok();
        return queues;
    }

    void set_descriptor(const Queue& queue, unsigned slot, const spec::virtio::Descriptor& descriptor) {
        store(queue.descriptors + 16ull * slot, descriptor);
    }
    /// Writes a chain of descriptors into the table. @return its head.
    std::uint16_t add_chain(Queue& queue, const std::vector<Segment>& segments) {
        const std::uint16_t head = queue.next_descriptor;
        for (std::size_t i = 0; i < segments.size(); ++i) {
            const auto slot = queue.next_descriptor;
            queue.next_descriptor = static_cast<std::uint16_t>((slot + 1) % queue.size);
            const bool last = i + 1 == segments.size();
            const auto flags = static_cast<std::uint16_t>((segments[i].writable ? 2 : 0) | (last ? 0 : 1));
            set_descriptor(queue, slot, {segments[i].address, segments[i].length, flags, queue.next_descriptor});
        }
        return head;
    }
    void make_available(Queue& queue, std::uint16_t head) {
        store<std::uint16_t>(queue.avail + 4 + 2ull * (queue.avail_index % queue.size), head);
        ++queue.avail_index;
        publish_avail(queue);
    }
    void publish_avail(const Queue& queue) {
        std::atomic_ref(*reinterpret_cast<std::uint16_t*>(at(queue.avail + 2)))
            .store(queue.avail_index, std::memory_order_release);
    }
    void kick(const Queue& queue) {
        machine_.memory.write(base_ + VirtioPciFunction::kNotifyOffset + 4ull * queue.index, 2, queue.index);
        machine_.flush();
    }
    /// A chain, the doorbell, and the device's turn.
    std::uint16_t send(Queue& queue, const std::vector<Segment>& segments) {
        const std::uint16_t head = add_chain(queue, segments);
        make_available(queue, head);
        kick(queue);
        return head;
    }
    [[nodiscard]] std::uint16_t used_index(const Queue& queue) { return load<std::uint16_t>(queue.used + 2); }
    /// The next element that the device returned. @pre there is one.
    [[nodiscard]] spec::virtio::UsedElement take_used(Queue& queue) {
        const std::uint64_t slot = queue.used_index++ % queue.size;
        return load<spec::virtio::UsedElement>(queue.used + 4 + 8 * slot);
    }
    [[nodiscard]] bool has_used(const Queue& queue) { return used_index(queue) != queue.used_index; }

    [[nodiscard]] std::uint64_t base() const { return base_; }
    [[nodiscard]] TestMachine& machine() { return machine_; }

private:
    static std::uint64_t ecam(std::uint32_t offset) {
        return platform::kEcamBase + (std::uint64_t{kPlace.device} << 15) + offset;
    }

    TestMachine& machine_;
    std::uint64_t base_ = 0;
    std::uint64_t next_free_ = 0x1'0000;
};

} // namespace touka::devices::virtio::test
