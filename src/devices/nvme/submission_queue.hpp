#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "devices/nvme/request.hpp"
#include "memory/dma_space.hpp"
#include "memory/dma_window.hpp"

namespace touka::devices::nvme {

class CompletionQueue;

/// A circular buffer of commands in guest memory, and room for those that are being worked on.
/// (NVM Express Base 2.0 §3.3.1, §3.3.3.1)
class SubmissionQueue {
public:
    struct Setup {
        std::uint16_t id = 0;
        std::uint64_t base = 0;
        std::uint32_t size = 0; ///< entries, at least 2
        std::uint8_t priority = 0;
    };
    /// Commands of one queue that are worked on at once at most.
    static constexpr std::uint32_t kRequestLimit = 256;
    /// Pieces of memory that one command's data may lie in.
    static constexpr std::size_t kSegmentLimit = 256;

    /// @param completions outlives the queue.
    SubmissionQueue(const Setup& setup, CompletionQueue& completions);

    [[nodiscard]] const Setup& setup() const { return setup_; }
    [[nodiscard]] std::uint16_t id() const { return setup_.id; }
    [[nodiscard]] CompletionQueue& completions() const { return completions_; }
    [[nodiscard]] std::uint32_t head() const { return head_; }
    [[nodiscard]] std::uint32_t tail() const { return tail_; }
    void set_position(std::uint32_t head, std::uint32_t tail) { head_ = head, tail_ = tail; }

    /// What the driver wrote to the doorbell. @return false: beyond the queue; nothing changed.
    [[nodiscard]] bool set_tail(std::uint32_t tail) {
        if (tail >= setup_.size) return false;
        tail_ = tail;
        return true;
    }
    [[nodiscard]] bool empty() const { return head_ == tail_; }
    /// For a fused pair, whatever the next command is.
    [[nodiscard]] bool has_room() const { return free_ != nullptr && free_->next != nullptr; }

    /// Takes the next command out. @pre !empty() && has_room(), within a use of `dma`, always the same.
    /// @return nothing when the queue's memory cannot be read.
    [[nodiscard]] Request* fetch(memory::DmaSpace& dma);
    /// A request without a command in the queue: one that came with a saved state. @pre has_room().
    [[nodiscard]] Request& take();
    void give_back(Request& request);
    [[nodiscard]] std::uint32_t in_flight() const { return in_flight_; }
    [[nodiscard]] std::span<Request> requests() { return {requests_.get(), request_count_}; }

    Request* deletion = nullptr; ///< the command that deletes this queue and waits for its requests

private:
    // Neighbours' first pieces, all that most commands have, are not in lines of one set of the cache.
    static constexpr std::size_t kSegmentStride = kSegmentLimit + 4;

    Setup setup_;
    CompletionQueue& completions_;
    std::uint32_t head_ = 0, tail_ = 0;
    std::uint32_t in_flight_ = 0;
    std::uint32_t request_count_;
    memory::DmaWindow window_{memory::DmaAccess::kRead};
    std::unique_ptr<iovec[]> segments_; // not initialised, so that memory is used by deep queues only
    std::unique_ptr<Request[]> requests_;
    Request* free_ = nullptr;
};

} // namespace touka::devices::nvme
