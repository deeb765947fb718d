#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "runtime/pollable.hpp"

namespace touka::runtime {

/// What one loop polls, and how long it is worth to go on looking when nothing comes: waits as short as the last one
/// are waited out awake. Trying that where it fails costs processor time, so it is tried again twice as late each time.
/// One thread.
class PolledSet {
public:
    /// A wait that is worth being awake for: about what going to sleep and being woken costs on both sides.
    static constexpr std::uint64_t kShortWaitNs = 30'000;
    /// One that may have been as short, had the loop not been asleep.
    static constexpr std::uint64_t kShortSleepNs = 2 * kShortWaitNs;
    /// So many waits at most are slept through before the next try: 2^kPatience.
    static constexpr unsigned kPatience = 10;
    /// Looks between two moments at which the loop sees to everything else: of those that found something, of all.
    static constexpr unsigned kBusyLooks = 32, kLooks = 128;
    /// The same of looks, where nothing is expected soon and the loop may sleep.
    static constexpr unsigned kFewLooks = 4;
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
        const unsigned most = expects_soon_ || sleepless_ ? kLooks : kFewLooks;
        for (unsigned looks = 0; looks < most + busy && busy < kBusyLooks && !interrupted(); ++looks) {
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
    void wait_over(std::uint64_t now_ns);

    std::vector<Pollable*> members_;
    std::uint64_t idle_looks_ = 0; // in a row
    bool found_ = false;           // by the last look
    bool asleep_ = false;          // the members were told
    bool sleepless_ = false;       // some of them would not be told of what comes, when they were asked last
    bool expects_soon_ = false;    // the next wait is tried awake
    unsigned failed_tries_ = 0;    // in a row
    unsigned waits_to_sleep_ = 0;  // before the next try
    std::optional<std::uint64_t> waiting_since_ns_;
};

} // namespace touka::runtime
