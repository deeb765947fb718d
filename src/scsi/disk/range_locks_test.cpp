#include "scsi/disk/range_locks.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

namespace touka::scsi {
namespace {

struct TestClaim : RangeLocks::Claim {
    TestClaim(BlockRange blocks, bool alone) {
        range = blocks;
        exclusive = alone;
        on_grant = [](RangeLocks::Claim& claim) { static_cast<TestClaim&>(claim).granted_late = true; };
    }
    bool granted_late = false;
};

TEST(RangeLocks, SharedClaimsNeverWait) {
    RangeLocks locks;
    TestClaim first({0, 8}, false), second({4, 8}, false);
    EXPECT_TRUE(locks.acquire(first));
    EXPECT_TRUE(locks.acquire(second));
    locks.release(first);
    locks.release(second);
}

TEST(RangeLocks, ExclusiveClaimsWaitForWhatOverlapsAlone) {
    RangeLocks locks;
    TestClaim shared({0, 8}, false), beside({8, 8}, true), over({7, 1}, true), none({3, 0}, true);
    EXPECT_TRUE(locks.acquire(shared));
    EXPECT_TRUE(locks.acquire(beside));
    EXPECT_FALSE(locks.acquire(over));
    EXPECT_TRUE(locks.acquire(none)) << "no blocks overlap nothing";
    locks.release(shared);
    EXPECT_TRUE(over.granted_late);
    locks.release(over);
    locks.release(beside);
    locks.release(none);
}

TEST(RangeLocks, LaterClaimsDoNotOvertakeOneThatWaits) {
    RangeLocks locks;
    TestClaim shared({0, 8}, false), waiting({0, 8}, true), later({0, 1}, false);
    EXPECT_TRUE(locks.acquire(shared));
    EXPECT_FALSE(locks.acquire(waiting));
    EXPECT_FALSE(locks.acquire(later));
    locks.release(shared);
    EXPECT_TRUE(waiting.granted_late);
    EXPECT_FALSE(later.granted_late);
    locks.release(waiting);
    EXPECT_TRUE(later.granted_late);
    locks.release(later);
}

TEST(RangeLocks, AWaitingClaimCanGo) {
    RangeLocks locks;
    TestClaim held({0, 8}, true), gone({0, 8}, true), last({0, 8}, false);
    EXPECT_TRUE(locks.acquire(held));
    EXPECT_FALSE(locks.acquire(gone));
    EXPECT_FALSE(locks.acquire(last));
    locks.release(gone);
    EXPECT_FALSE(last.granted_late);
    locks.release(held);
    EXPECT_TRUE(last.granted_late);
    locks.release(last);
}

TEST(RangeLocks, NoExclusiveClaimEverHoldsWhatAnotherHolds) {
    RangeLocks locks;
    std::mt19937 random(1);
    struct Entry {
        std::unique_ptr<TestClaim> claim;
        bool at_once;
    };
    std::vector<Entry> entries;
    for (int round = 0; round < 5000; ++round) {
        if (entries.empty() || random() % 2 == 0) {
            auto claim = std::make_unique<TestClaim>(BlockRange{random() % 16, random() % 4}, random() % 3 == 0);
            const bool at_once = locks.acquire(*claim);
            entries.push_back({std::move(claim), at_once});
        } else {
            const auto at = entries.begin() + static_cast<std::ptrdiff_t>(random() % entries.size());
            locks.release(*at->claim);
            entries.erase(at);
        }
        const auto holds = [](const Entry& entry) { return entry.at_once || entry.claim->granted_late; };
        for (const Entry& one : entries) {
            for (const Entry& other : entries) {
                if (&one == &other || !holds(one) || !holds(other) || !one.claim->exclusive) continue;
                const auto &x = one.claim->range, &y = other.claim->range;
                ASSERT_FALSE(x.count && y.count && x.lba < y.lba + y.count && y.lba < x.lba + x.count);
            }
        }
        ASSERT_TRUE(entries.empty() || holds(entries.front())) << "the oldest never waits";
    }
    while (!entries.empty()) {
        locks.release(*entries.back().claim);
        entries.pop_back();
    }
}

} // namespace
} // namespace touka::scsi
