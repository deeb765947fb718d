// The driver's side of an NVMe function in another process, without interrupts: what a polling user-space driver does.
// (NVM Express Base 2.0 §3.3, §3.5; NVMe over PCIe Transport 1.0)
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "devices/passthrough/vfio_user/remote_device.hpp"
#include "memory/dma_space.hpp"
#include "memory/guest_memory.hpp"
#include "spec/nvme/command.hpp"

namespace touka::bench {

/// A submission and a completion queue of one size, in memory that the device reaches.
class NvmeQueuePair {
public:
    /// @param base of the memory's address 0.  @param submissions, completions addresses of zeros.
    NvmeQueuePair(std::byte* base, std::uint64_t submissions, std::uint64_t completions, std::uint16_t size)
        : submissions_(base + submissions), completions_(base + completions), size_(size) {}

    /// Puts a command into the next place, for the device to see with the tail.
    void put(const spec::nvme::SubmissionEntry& command);
    /// The next completion, if there is one.
    [[nodiscard]] std::optional<spec::nvme::CompletionEntry> take();
    [[nodiscard]] std::uint16_t tail() const { return tail_; }
    [[nodiscard]] std::uint16_t head() const { return head_; }

private:
    std::byte *submissions_, *completions_;
    std::uint16_t size_, tail_ = 0, head_ = 0;
    bool phase_ = true;
};

/// One function with a pair of I/O queues.
class NvmeDriver {
public:
    static constexpr std::uint16_t kQueueSize = 256;
    static constexpr std::uint64_t kDataBytes = 1 << 20; ///< for the commands' data

    /// From the socket to queues that take commands. @return what failed.
    [[nodiscard]] static std::expected<std::unique_ptr<NvmeDriver>, std::string> connect(const std::string& socket);
    ~NvmeDriver();
    NvmeDriver(const NvmeDriver&) = delete;
    NvmeDriver& operator=(const NvmeDriver&) = delete;

    /// Puts a read of whole blocks into the queue. @param data offset in the data's memory, of a page.
    void put_read(std::uint16_t cid, std::uint64_t offset_bytes, std::uint32_t length_bytes, std::uint64_t data);
    /// The device sees what was put, and, now and then, what was taken.
    void ring();
    /// Calls on_ended(cid, good) for what has ended. @return how many.
    unsigned take_ended(auto on_ended) {
        unsigned count = 0;
        while (const auto entry = io_.take()) {
            on_ended(entry->cid, entry->status_phase >> 1 == 0);
            ++count;
        }
        return count;
    }

private:
    static constexpr std::uint16_t kAdminSize = 16;
    static constexpr std::uint16_t kTakenAtOnce = kQueueSize / 8; ///< before the device is told

    explicit NvmeDriver(std::unique_ptr<memory::GuestMemory> memory);
    [[nodiscard]] std::expected<void, std::string> attach(const std::string& socket);
    [[nodiscard]] std::expected<void, std::string> start();
    [[nodiscard]] bool wait_ready(bool ready);
    [[nodiscard]] bool run_admin(const spec::nvme::SubmissionEntry& command);
    [[nodiscard]] bool create_queues();
    [[nodiscard]] bool identify();
    void ring(std::uint32_t doorbell, std::uint16_t value);
    [[nodiscard]] std::uint64_t read_register(std::uint32_t offset, unsigned width_bytes);
    void write_register(std::uint32_t offset, unsigned width_bytes, std::uint64_t value);

    std::unique_ptr<memory::GuestMemory> memory_;
    memory::IdentityDmaSpace dma_;
    std::unique_ptr<devices::passthrough::RemoteDevice> device_;
    NvmeQueuePair admin_, io_;
    std::uint16_t rung_tail_ = 0, rung_head_ = 0;
    unsigned block_shift_ = 0;
    std::shared_ptr<const devices::passthrough::RemoteLayout> layout_;
    std::span<std::byte> doorbells_; // of the layout: those that are shared; empty if none are
};

} // namespace touka::bench
