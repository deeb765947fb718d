#include "memory/dma_uses.hpp"

namespace touka::memory {

// All orders are sequentially consistent: a use that saw the turn before a round is counted where the round looks, and
// one that ends after the round has looked sees that a round is open.

DmaUses::Use DmaUses::begin() {
    while (true) {
        const unsigned turns = turns_.load();
        const unsigned side = turns % 2;
        ++active_[side];
        if (turns_.load() == turns) return Use(*this, side);
        leave(side); // a round began in between and may not have counted this one
    }
}

void DmaUses::leave(unsigned side) {
    if (active_[side].fetch_sub(1) != 1 || !round_open_.load()) return;
    finish_rounds(std::unique_lock(mutex_));
}

void DmaUses::when_over(std::function<void()> done) {
    std::unique_lock lock(mutex_);
    if (round_open_.load()) {
        next_round_.push_back(std::move(done));
        return;
    }
    this_round_.push_back(std::move(done));
    round_open_.store(true);
    ++turns_;
    finish_rounds(std::move(lock));
}

void DmaUses::finish_rounds(std::unique_lock<std::mutex> lock) {
    while (round_open_.load() && active_[(turns_.load() + 1) % 2].load() == 0) {
        auto over = std::exchange(this_round_, std::exchange(next_round_, {}));
        if (this_round_.empty()) {
            round_open_.store(false);
        } else {
            ++turns_;
        }
        lock.unlock();
        for (const auto& done : over) done();
        over.clear(); // what the callbacks hold goes without the lock, too
        lock.lock();
    }
}

} // namespace touka::memory
