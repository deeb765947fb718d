// The guest's side, for tests and fuzz targets: a small machine with a subsystem, and a driver that works a controller
// through its BARs as Linux's does. Everything of the driver runs on the test's thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "devices/nvme/nvme_pci_function.hpp"
#include "memory/dma_space.hpp"
#include "memory/guest_memory.hpp"
#include "platform/pci/pci_root.hpp"
#include "platform/recording_line.hpp"
#include "platform/recording_messages.hpp"
#include "runtime/reactor.hpp"
#include "spec/nvme/command.hpp"
#include "spec/nvme/registers.hpp"
#include "spec/pci/capability.hpp"
#include "spec/pci/express.hpp"
#include "storage/memory_volume.hpp"

namespace touka::devices::nvme::test {

/// One volume of a test, as each controller opens it.
class SharedVolume final : public storage::BlockDevice {
public:
    explicit SharedVolume(storage::BlockDevice& volume) : volume_(volume) {}
    [[nodiscard]] const storage::BlockGeometry& geometry() const override { return volume_.geometry(); }
    void submit(storage::BlockRequest& request) override { volume_.submit(request); }
    void commit() override { volume_.commit(); }
    [[nodiscard]] std::size_t in_flight() const override { return volume_.in_flight(); }

private:
    storage::BlockDevice& volume_;
};

[[nodiscard]] inline NamespaceConfiguration namespace_on(storage::BlockDevice& volume) {
    return {.geometry = volume.geometry(),
            .open = [&volume](runtime::Reactor&) { return std::make_unique<SharedVolume>(volume); }};
}

/// RAM, address spaces, a PCI root, one reactor.
struct TestMachine {
    static constexpr std::uint64_t kRamBytes = 16 << 20;
    std::unique_ptr<memory::GuestMemory> ram = memory::GuestMemory::create(kRamBytes).value();
    memory::IdentityDmaSpace dma{*ram};
    platform::AddressSpace memory, ports;
    platform::RecordingMessages messages;
    platform::RecordingLine line;
    runtime::Reactor reactor{"test"};
    platform::PciRoot root{memory, ports, config()};
    std::uint64_t next_free = 0x10'0000;

    [[nodiscard]] NvmePciContext context() { return {reactor, dma, messages}; }
    /// Zeroed RAM that nobody else uses.
    [[nodiscard]] std::uint64_t allocate(std::uint64_t length_bytes) {
        const std::uint64_t address = (next_free + 4095) / 4096 * 4096;
        next_free = address + length_bytes;
        std::memset(ram->base() + address, 0, length_bytes);
        return address;
    }

private:
    platform::PciRootConfig config() {
        platform::PciRootConfig result;
        result.interrupt_inputs.fill(&line);
        return result;
    }
};

/// Drives one function.
class TestDriver {
public:
    static constexpr std::uint64_t kMessageAddress = 0xFEE0'0000;
    static constexpr std::uint32_t kFirstMessage = 0x40; ///< data of vector 0
    static constexpr std::uint16_t kAdminEntries = 32;

    TestDriver(TestMachine& machine, NvmePciFunction& function, platform::PciAddress place = {0, 3, 0})
        : machine_(machine), function_(&function), place_(place) {
        (void)machine.root.plug(place, function);
        function.start();
    }
    ~TestDriver() { machine_.root.unplug(place_); }
    TestDriver(const TestDriver&) = delete;
    TestDriver& operator=(const TestDriver&) = delete;

    /// Another function with the same registers behind the driver, as after a restore.
    void move_to(NvmePciFunction& function) {
        machine_.root.unplug(place_);
        (void)machine_.root.plug(place_, function);
        function_ = &function;
    }

    [[nodiscard]] std::uint32_t config_read(std::uint32_t offset, unsigned width) {
        return machine_.root.read_config(place_, offset, width);
    }
    void config_write(std::uint32_t offset, unsigned width, std::uint32_t value) {
        machine_.root.write_config(place_, offset, width, value);
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
    void enable_function(bool with_msix = true) {
        config_write(spec::pci::offset::kCommand, 2, 0x0006);
        base_ = bar(NvmePciFunction::kRegisterBar);
        if (!with_msix) return;
        const std::uint32_t msix = find_capability(spec::pci::CapabilityId::kMsix);
        const std::uint64_t table = bar(NvmePciFunction::kMsixBar);
        const unsigned count = (config_read(msix + 2, 2) & 0x7FF) + 1;
        for (std::uint64_t i = 0; i < count; ++i) {
            machine_.memory.write(table + 16 * i, 8, kMessageAddress);
            machine_.memory.write(table + 16 * i + 8, 4, kFirstMessage + i);
            machine_.memory.write(table + 16 * i + 12, 4, 0);
        }
        config_write(msix + 2, 2, 0x8000);
    }

    [[nodiscard]] std::uint64_t read(std::uint32_t offset, unsigned width = 4) {
        return machine_.memory.read(base_ + offset, width);
    }
    void write(std::uint32_t offset, std::uint64_t value, unsigned width = 4) {
        machine_.memory.write(base_ + offset, width, value);
    }
    [[nodiscard]] spec::nvme::Csts status() {
        return spec::nvme::Csts{static_cast<std::uint32_t>(read(spec::nvme::offset::CSTS))};
    }
    [[nodiscard]] bool ready() { return status().get(spec::nvme::csts::RDY); }
    [[nodiscard]] bool fatal() { return status().get(spec::nvme::csts::CFS); }
    /// Returns when the reactor has done all that was asked of it.
    void settle() {
        for (int i = 0; i < 8; ++i) function_->controller().settle(); // turns that a format takes at most
    }

    static constexpr std::uint32_t kEnable = 0x0046'0001; ///< entries of 64 and 16 bytes, pages of 4 KiB
    void set_configuration(std::uint32_t value) {
        write(spec::nvme::offset::CC, value);
        settle();
    }
    struct Queue {
        std::uint16_t id = 0, size = 0;
        std::uint64_t submission = 0, completion = 0;
        std::uint16_t tail = 0, head = 0;
        bool phase = true;
    };
    [[nodiscard]] Queue make_queue(std::uint16_t id, std::uint16_t size) {
        return {.id = id,
                .size = size,
                .submission = machine_.allocate(size * sizeof(spec::nvme::SubmissionEntry)),
                .completion = machine_.allocate(size * sizeof(spec::nvme::CompletionEntry))};
    }
    /// Off, admin queues, on: as Linux does it. @return whether the controller is ready.
    bool enable_controller(std::uint32_t configuration = kEnable) {
        set_configuration(0);
        admin = make_queue(0, kAdminEntries);
        write(spec::nvme::offset::AQA, (kAdminEntries - 1u) | (kAdminEntries - 1u) << 16);
        write(spec::nvme::offset::ASQ, admin.submission, 8);
        write(spec::nvme::offset::ACQ, admin.completion, 8);
        set_configuration(configuration);
        return ready();
    }
    void ring_tail(const Queue& queue) {
        write(spec::nvme::kDoorbells + 8u * queue.id, queue.tail);
        settle();
    }
    void ring_head(const Queue& queue) {
        write(spec::nvme::kDoorbells + 8u * queue.id + 4, queue.head);
        settle();
    }
    /// Puts a command into the queue without telling. @return its identifier.
    std::uint16_t put(Queue& queue, spec::nvme::SubmissionEntry command) {
        command.cid = next_cid_++;
        store(queue.submission + sizeof command * queue.tail, command);
        queue.tail = static_cast<std::uint16_t>((queue.tail + 1) % queue.size);
        return command.cid;
    }
    std::uint16_t submit(Queue& queue, const spec::nvme::SubmissionEntry& command) {
        const std::uint16_t cid = put(queue, command);
        ring_tail(queue);
        return cid;
    }
    /// The next completion, if there is one; the doorbell is rung for it.
    std::optional<spec::nvme::CompletionEntry> take(Queue& queue, bool ring = true) {
        // The last word first: the device stores it after the rest.
        const std::uint64_t place = queue.completion + 16ull * queue.head;
        const auto last_word = std::atomic_ref(*reinterpret_cast<std::uint32_t*>(at(place + 12)));
        if ((last_word.load(std::memory_order_acquire) >> 16 & 1) != (queue.phase ? 1u : 0u)) return std::nullopt;
        const auto entry = load<spec::nvme::CompletionEntry>(place);
        queue.head = static_cast<std::uint16_t>((queue.head + 1) % queue.size);
        if (queue.head == 0) queue.phase = !queue.phase;
        if (ring) ring_head(queue);
        return entry;
    }
    /// Submits and waits. @return the status without DNR and MORE; kPending when no completion came.
    static constexpr auto kPending = static_cast<spec::nvme::Status>(0xFFFF);
    spec::nvme::Status run(Queue& queue, const spec::nvme::SubmissionEntry& command) {
        (void)submit(queue, command);
        const auto entry = take(queue);
        if (!entry) return kPending;
        last = *entry;
        return static_cast<spec::nvme::Status>(entry->status_phase >> 1 & 0x7FF);
    }
    spec::nvme::Status run(const spec::nvme::SubmissionEntry& command) { return run(admin, command); }
    /// A pair of queues with vector `id`.
    spec::nvme::Status create(const Queue& queue, std::uint16_t vector) {
        using namespace spec::nvme;
        const std::uint32_t cdw10 = queue.id | (queue.size - 1u) << 16;
        SubmissionEntry command{};
        command.opcode = std::to_underlying(AdminOpcode::kCreateCompletionQueue);
        command.prp1 = queue.completion;
        command.cdw10 = cdw10;
        command.cdw11 = kQueueContiguous | kQueueInterruptsEnabled | std::uint32_t{vector} << 16;
        if (const Status status = run(command); status != Status::kSuccess) return status;
        command.opcode = std::to_underlying(AdminOpcode::kCreateSubmissionQueue);
        command.prp1 = queue.submission;
        command.cdw11 = kQueueContiguous | std::uint32_t{queue.id} << 16;
        return run(command);
    }
    /// From a fresh function to a pair of I/O queues.
    bool bring_up(std::uint16_t io_entries = 16) {
        enable_function();
        if (!enable_controller()) return false;
        io = make_queue(1, io_entries);
        return create(io, 1) == spec::nvme::Status::kSuccess;
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

    Queue admin, io;
    spec::nvme::CompletionEntry last{};

private:
    TestMachine& machine_;
    NvmePciFunction* function_;
    platform::PciAddress place_;
    std::uint64_t base_ = 0;
    std::uint16_t next_cid_ = 1;
};

/// Commands with their fields where they belong.
[[nodiscard]] inline spec::nvme::SubmissionEntry admin_command(spec::nvme::AdminOpcode opcode, std::uint32_t nsid = 0,
                                                               std::uint64_t prp1 = 0, std::uint32_t cdw10 = 0,
                                                               std::uint32_t cdw11 = 0) {
    spec::nvme::SubmissionEntry command{};
    command.opcode = std::to_underlying(opcode);
    command.nsid = nsid;
    command.prp1 = prp1;
    command.cdw10 = cdw10;
    command.cdw11 = cdw11;
    return command;
}
[[nodiscard]] inline spec::nvme::SubmissionEntry block_command(spec::nvme::IoOpcode opcode, std::uint64_t first_lba,
                                                               std::uint32_t block_count, std::uint64_t prp1,
                                                               std::uint64_t prp2 = 0, std::uint32_t nsid = 1) {
    spec::nvme::SubmissionEntry command{};
    command.opcode = std::to_underlying(opcode);
    command.nsid = nsid;
    command.prp1 = prp1;
    command.prp2 = prp2;
    command.cdw10 = static_cast<std::uint32_t>(first_lba);
    command.cdw11 = static_cast<std::uint32_t>(first_lba >> 32);
    command.cdw12 = block_count - 1;
    return command;
}

} // namespace touka::devices::nvme::test
