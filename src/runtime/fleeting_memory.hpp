// Mappings of files that others can make shorter, or whose disk can fail: an access of what is not there any more is a
// SIGBUS, of which this process would die.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

namespace touka::runtime {

/// While it exists, an access to the range that finds no memory turns the whole range into private zeros, and goes on.
/// Any thread; the signal's handler is installed with the first one, and leaves all other faults to the one before it.
class FleetingMemory {
public:
    /// So many ranges at once in a process.
    static constexpr std::size_t kLimit = 1024;

    FleetingMemory() = default;
    /// @param pages mapped, whole pages, until this object is gone.  @return nothing when there are too many.
    [[nodiscard]] static std::optional<FleetingMemory> watch(std::span<std::byte> pages);
    ~FleetingMemory();
    FleetingMemory(FleetingMemory&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)) {}
    FleetingMemory& operator=(FleetingMemory&& other) noexcept {
        std::swap(slot_, other.slot_);
        return *this;
    }

    /// Its contents are nobody's any more.
    [[nodiscard]] bool lost() const { return slot_ != nullptr && slot_->lost.load(std::memory_order_relaxed); }

    struct Slot {
        std::atomic<bool> taken{false};
        std::atomic<bool> lost{false};
        std::atomic<std::uintptr_t> begin{0}; // 0: not watched
        std::atomic<std::uintptr_t> end{0};
    };

private:
    explicit FleetingMemory(Slot& slot) : slot_(&slot) {}

    Slot* slot_ = nullptr; // one of the process's, owned
};

} // namespace touka::runtime
