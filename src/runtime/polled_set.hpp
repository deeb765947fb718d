#pragma once

#include <cstdint>
#include <vector>

#include "runtime/pollable.hpp"

namespace touka::runtime {

/// What one loop polls, and how long it is worth to go on looking when nothing comes. One thread.
class PolledSet {
public:
    /// Less than going to sleep and being woken costs on both sides.
    static constexpr std::uint64_t kShortWaitNs = 20'000;
    /// Looks between two moments at which the loop sees to everything else: of those that found something, of all.
    static constexpr unsigned kBusyLooks = 32, kLooks = 128;
    /// So many looks in a row that find nothing are made as fast as possible; those after them leave the processor's
    /// other thread more room.
    static constexpr unsigned kFastLooks = 32;

    void add(Pollable& pollable) { members_.push_back(&pollable); }
    void remove(Pollable& pollable);
    [[nodiscard]] bool empty() const { return members_.empty(); }

    /// Looks until the loop has to see to something else. @param interrupted asked before each look.
    void look(const auto& interrupted) {
        wake_up();
        unsigned busy = 0;
        for (unsigned looks = 0; looks < kLooks && busy < kBusyLooks && !interrupted(); ++looks) {
            if (look_once()) {
                ++busy;
                idle_looks_ = 0;
            } else if (++idle_looks_ > kFastLooks) {
                __builtin_ia32_pause();
            }
        }
        found_ = busy > 0;
    }
    /// After a look: may the loop sleep until it is told? The members have been asked then.
    [[nodiscard]] bool fall_asleep(std::uint64_t now_ns);
    /// Looks are wanted again.
    void wake_up();

private:
    [[nodiscard]] bool look_once();

    std::vector<Pollable*> members_;
    std::uint64_t idle_looks_ = 0; // in a row
    bool found_ = false;           // by the last look
    bool asleep_ = false;
    bool expects_soon_ = false; // the last wait was a short one
    bool waiting_ = false;      // since waiting_since_ns_ nothing came
    std::uint64_t waiting_since_ns_ = 0;
};

} // namespace touka::runtime
