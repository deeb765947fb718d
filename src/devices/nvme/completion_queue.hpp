#pragma once

#include <cstdint>
#include <vector>

#include "memory/dma_space.hpp"
#include "memory/dma_window.hpp"
#include "spec/nvme/command.hpp"

namespace touka::devices::nvme {

/// A circular buffer of completions in guest memory. (NVM Express Base 2.0 §3.3.1.2, §3.3.3.2)
class CompletionQueue {
public:
    struct Setup {
        std::uint16_t id = 0;
        std::uint64_t base = 0;
        std::uint32_t size = 0; ///< entries, at least 2
        std::uint16_t vector = 0;
        bool interrupts = false;
    };
    explicit CompletionQueue(const Setup& setup) : setup_(setup) {}

    [[nodiscard]] const Setup& setup() const { return setup_; }
    [[nodiscard]] std::uint16_t id() const { return setup_.id; }
    [[nodiscard]] std::uint32_t head() const { return head_; }
    [[nodiscard]] std::uint32_t tail() const { return tail_; }
    [[nodiscard]] bool phase() const { return phase_; }
    void set_position(std::uint32_t head, std::uint32_t tail, bool phase) {
        head_ = head, tail_ = tail, phase_ = phase;
    }

    /// What the driver wrote to the doorbell. @return false: beyond the queue, or past the tail; nothing changed.
    [[nodiscard]] bool set_head(std::uint32_t head);
    [[nodiscard]] bool empty() const { return head_ == tail_; }

    enum class Posted {
        kStored,
        kHeldBack, ///< no room; it comes with the next flush()
        kFault,    ///< the queue's memory cannot be written
    };
    /// @param entry without phase tag.
    [[nodiscard]] Posted post(memory::DmaSpace& dma, const spec::nvme::CompletionEntry& entry);
    /// Stores what was held back, as far as there is room. @return kHeldBack: nothing could be stored.
    [[nodiscard]] Posted flush(memory::DmaSpace& dma);
    /// Nobody takes new commands for a queue whose reader is behind, so what is held back stays bounded.
    [[nodiscard]] const std::vector<spec::nvme::CompletionEntry>& held_back() const { return held_back_; }
    /// For the next flush(). @param entry without phase tag.
    void hold_back(const spec::nvme::CompletionEntry& entry) { held_back_.push_back(entry); }

    std::uint32_t submission_queues = 0; ///< that complete here
    bool signalled = true;               ///< everything posted was told of; false: an interrupt is due
    std::uint32_t unsignalled = 0;       ///< completions since the last interrupt

private:
    [[nodiscard]] bool full() const { return (tail_ + 1 == setup_.size ? 0 : tail_ + 1) == head_; }
    /// @pre !full(), within a use.
    [[nodiscard]] Posted store(memory::DmaSpace& dma, spec::nvme::CompletionEntry entry);

    Setup setup_;
    std::uint32_t head_ = 0, tail_ = 0;
    bool phase_ = true;
    memory::DmaWindow window_{memory::DmaAccess::kWrite};
    std::vector<spec::nvme::CompletionEntry> held_back_;
};

} // namespace touka::devices::nvme
