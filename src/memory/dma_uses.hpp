#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace touka::memory {

/// Who reaches memory through a space just now, so that whoever takes memory away can wait for them and for nobody who
/// came later. Beginning and ending a use are a few atomic operations. Any thread.
class DmaUses {
public:
    DmaUses() = default;
    /// @pre no use is left.
    ~DmaUses() = default;
    DmaUses(const DmaUses&) = delete;
    DmaUses& operator=(const DmaUses&) = delete;

    /// One use, from its making to its end.
    class Use {
    public:
        Use() = default;
        Use(Use&& other) noexcept : uses_(std::exchange(other.uses_, nullptr)), side_(other.side_) {}
        Use& operator=(Use&& other) noexcept {
            if (this == &other) return *this;
            end();
            uses_ = std::exchange(other.uses_, nullptr);
            side_ = other.side_;
            return *this;
        }
        ~Use() { end(); }
        /// May run the callbacks of those who wait.
        void end() {
            if (uses_ != nullptr) std::exchange(uses_, nullptr)->leave(side_);
        }

    private:
        friend class DmaUses;
        Use(DmaUses& uses, unsigned side) : uses_(&uses), side_(side) {}
        DmaUses* uses_ = nullptr;
        unsigned side_ = 0;
    };

    [[nodiscard]] Use begin();
    /// @param done called once, when the uses that have begun are over: before this returns, or on the thread that ends
    /// the last of them, without a lock held.
    void when_over(std::function<void()> done);

private:
    void leave(unsigned side);
    void finish_rounds(std::unique_lock<std::mutex> lock);

    // Uses count themselves on one of two sides. A round turns to the other side and waits until the first is empty;
    // who asks meanwhile waits for the next round.
    std::atomic<unsigned> turns_{0};
    std::array<std::atomic<std::uint32_t>, 2> active_{};
    std::atomic<bool> round_open_{false}; // written under mutex_
    std::mutex mutex_;
    std::vector<std::function<void()>> this_round_, next_round_;
};

} // namespace touka::memory
