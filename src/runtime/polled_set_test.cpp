#include "runtime/polled_set.hpp"

#include <gtest/gtest.h>

#include <future>

#include "runtime/reactor.hpp"

namespace touka::runtime {
namespace {

/// Something that has work for the next looks, and remembers what it was asked.
struct Member final : Pollable {
    bool poll() override {
        ++looks;
        if (work == 0) return false;
        --work;
        return true;
    }
    bool fall_asleep() override { return asleep = allows; }
    void wake_up() override { asleep = false; }

    unsigned looks = 0, work = 0;
    bool allows = true, asleep = false;
};

constexpr auto kNever = [] { return false; };
constexpr std::uint64_t kSoonNs = PolledSet::kShortWaitNs / 2, kLateNs = PolledSet::kShortSleepNs * 2;

/// A loop and one member whose work comes at times that the test says.
class Waits {
public:
    Waits() { set_.add(member_); }
    /// Work comes after so long. @return how long the loop looked for it before it fell asleep, all of it if it did
    /// not.
    std::uint64_t wait(std::uint64_t length_ns) {
        const std::uint64_t began_ns = now_ns_;
        std::uint64_t awake_ns = length_ns;
        for (bool asleep = false; !asleep && now_ns_ < began_ns + length_ns; now_ns_ += 1000) {
            set_.look(kNever);
            asleep = set_.fall_asleep(now_ns_);
            if (asleep) awake_ns = now_ns_ - began_ns;
        }
        now_ns_ = began_ns + length_ns;
        member_.work = 1;
        set_.look(kNever);
        EXPECT_FALSE(set_.fall_asleep(now_ns_));
        return awake_ns;
    }

private:
    PolledSet set_;
    Member member_;
    std::uint64_t now_ns_ = 0;
};

TEST(PolledSet, SleepsWhenNothingWasFound) {
    PolledSet set;
    Member member;
    set.add(member);
    set.look(kNever);
    EXPECT_TRUE(set.fall_asleep(0));
    EXPECT_TRUE(member.asleep);
    set.wake_up();
    EXPECT_FALSE(member.asleep);
}

TEST(PolledSet, LooksLongerBetweenOtherThingsWhenItMustNotSleepAnyway) {
    PolledSet set;
    Member member;
    member.allows = false;
    set.add(member);
    set.look(kNever);
    EXPECT_EQ(member.looks, PolledSet::kFewLooks);
    EXPECT_FALSE(set.fall_asleep(0));
    member.looks = 0;
    set.look(kNever);
    EXPECT_EQ(member.looks, PolledSet::kLooks);
    member.allows = true;
    EXPECT_TRUE(set.fall_asleep(0));
    member.looks = 0;
    set.look(kNever);
    EXPECT_EQ(member.looks, PolledSet::kFewLooks);
}

TEST(PolledSet, LooksAgainAfterItFoundSomething) {
    PolledSet set;
    Member member;
    set.add(member);
    member.work = 1;
    set.look(kNever);
    EXPECT_FALSE(set.fall_asleep(0));
    EXPECT_FALSE(member.asleep) << "nobody need tell what is looked at";
}

TEST(PolledSet, WaitsAwakeForWhatCameSoonTheLastTime) {
    Waits waits;
    EXPECT_EQ(waits.wait(kSoonNs), 0u) << "nothing is known yet";
    EXPECT_EQ(waits.wait(kSoonNs), kSoonNs);
    EXPECT_EQ(waits.wait(kSoonNs), kSoonNs);
}

TEST(PolledSet, SleepsThroughWaitsThatAreLong) {
    Waits waits;
    for (int i = 0; i < 10; ++i) EXPECT_EQ(waits.wait(kLateNs), 0u);
}

TEST(PolledSet, StaysAwakeNoLongerThanAWakeUpCosts) {
    Waits waits;
    (void)waits.wait(kSoonNs);
    EXPECT_LE(waits.wait(kLateNs), PolledSet::kShortWaitNs + 1000);
}

TEST(PolledSet, TriesEverMoreSeldomWhereTryingFails) {
    // Always a little too long to be worth it, and short enough to look as if it were.
    constexpr std::uint64_t kBetween = (PolledSet::kShortWaitNs + PolledSet::kShortSleepNs) / 2;
    Waits waits;
    std::uint64_t awake_ns = 0;
    constexpr int kWaits = 1000;
    for (int i = 0; i < kWaits; ++i) awake_ns += waits.wait(kBetween);
    EXPECT_GT(awake_ns, 0u);
    EXPECT_LT(awake_ns, kWaits * kBetween / 100);
}

TEST(PolledSet, StaysAwakeForAMemberThatNobodyTells) {
    PolledSet set;
    Member told, untold;
    untold.allows = false;
    set.add(untold);
    set.add(told);
    set.look(kNever);
    EXPECT_FALSE(set.fall_asleep(0));
}

TEST(PolledSet, ComesBackFromALookNowAndThenHoweverBusyItsMembersAre) {
    PolledSet set;
    Member member;
    set.add(member);
    member.work = 1'000'000;
    set.look(kNever);
    EXPECT_EQ(member.looks, PolledSet::kBusyLooks);
}

TEST(PolledSet, ComesBackFromALookAtOnceWhenInterrupted) {
    PolledSet set;
    Member member;
    set.add(member);
    set.look([&] { return member.looks == 3; });
    EXPECT_EQ(member.looks, 3u);
}

TEST(PolledSet, LooksNoLongerAtWhatWasRemoved) {
    PolledSet set;
    Member gone, left;
    set.add(gone);
    set.add(left);
    set.remove(gone);
    set.look(kNever);
    EXPECT_EQ(gone.looks, 0u);
    EXPECT_GT(left.looks, 0u);
}

/// Nobody tells of its work: it is seen because the loop looks.
struct Spun final : Pollable {
    bool poll() override {
        if (!there.exchange(false)) return false;
        seen.set_value();
        return true;
    }
    bool fall_asleep() override { return false; }
    void wake_up() override {}
    std::atomic<bool> there{false};
    std::promise<void> seen;
};

TEST(Reactor, SeesWhatNobodyTellsItOf) {
    Reactor reactor("test");
    Spun spun;
    std::unique_ptr<Reactor::Polling> polling;
    reactor.run_and_wait([&] { polling = reactor.poll(spun); });
    spun.there = true;
    spun.seen.get_future().wait();
    reactor.run_and_wait([&] { polling.reset(); });
}

TEST(Reactor, DoesEverythingElseWhileItPolls) {
    Reactor reactor("test");
    Spun spun;
    std::unique_ptr<Reactor::Polling> polling;
    reactor.run_and_wait([&] { polling = reactor.poll(spun); });
    std::promise<void> fired;
    const auto timer = reactor.make_timer([&] { fired.set_value(); });
    timer->arm(reactor.now_ns() + 1000);
    fired.get_future().wait();
    reactor.run_and_wait([&] { polling.reset(); });
}

TEST(Reactor, IsToldOfWorkWhenItPollsAndThenSleeps) {
    Reactor reactor("test");
    Member member;
    std::unique_ptr<Reactor::Polling> polling;
    reactor.run_and_wait([&] { polling = reactor.poll(member); });
    for (int i = 0; i < 20'000; ++i) reactor.run_and_wait([&] { member.work = i % 3 == 0; }); // a lost one hangs
    reactor.run_and_wait([&] { polling.reset(); });
}

} // namespace
} // namespace touka::runtime
