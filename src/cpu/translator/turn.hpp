// One vCPU at a time, in turn: so that nothing changes guest memory while a vCPU's code runs twice.
#pragma once

#include <atomic>
#include <cstdint>

namespace touka::cpu::translator {

/// Handed over in the order of asking. Any thread.
class Turn {
public:
    /// Waits for it.
    void take() {
        const std::uint32_t mine = asked_.fetch_add(1, std::memory_order_relaxed);
        for (std::uint32_t now = served_.load(std::memory_order_acquire); now != mine;) {
            served_.wait(now, std::memory_order_acquire);
            now = served_.load(std::memory_order_acquire);
        }
    }
    /// @pre the caller has it. Pairs with take().
    void pass() {
        served_.fetch_add(1, std::memory_order_release);
        served_.notify_all();
    }
    /// @pre the caller has it. @return whether somebody waits.
    [[nodiscard]] bool is_wanted() const {
        return asked_.load(std::memory_order_relaxed) - served_.load(std::memory_order_relaxed) > 1;
    }

private:
    std::atomic<std::uint32_t> asked_{0}, served_{0};
};

/// Has the turn while it exists, but for moments in which others may have it. `turn` may be nullptr: nothing is done.
class TurnHolder {
public:
    explicit TurnHolder(Turn* turn) : turn_(turn) {
        if (turn_ != nullptr) turn_->take();
    }
    ~TurnHolder() {
        if (turn_ != nullptr) turn_->pass();
    }
    TurnHolder(const TurnHolder&) = delete;
    TurnHolder& operator=(const TurnHolder&) = delete;

    /// To be called often: lets others run now and then.
    void offer() {
        if (turn_ == nullptr || ++offers_ % kOffersKept != 0 || !turn_->is_wanted()) return;
        turn_->pass();
        turn_->take();
    }

private:
    /// A change of thread costs as much as some ten blocks.
    static constexpr std::uint32_t kOffersKept = 256;

    Turn* turn_;
    std::uint32_t offers_ = 0;
};

} // namespace touka::cpu::translator
