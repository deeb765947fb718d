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
constexpr std::uint64_t kSoonNs = PolledSet::kShortWaitNs / 2, kLateNs = PolledSet::kShortWaitNs * 2;

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
    PolledSet set;
    Member member;
    set.add(member);
    set.look(kNever);
    EXPECT_TRUE(set.fall_asleep(0)) << "nothing is known yet";
    member.work = 1;
    set.look(kNever);
    EXPECT_FALSE(set.fall_asleep(kSoonNs));
    set.look(kNever);
    EXPECT_FALSE(set.fall_asleep(kSoonNs + 1)) << "the last wait was short, so this one may be, too";
    set.look(kNever);
    EXPECT_TRUE(set.fall_asleep(kSoonNs + 1 + kLateNs)) << "it is not";
}

TEST(PolledSet, SleepsAtOnceAfterALongWait) {
    PolledSet set;
    Member member;
    set.add(member);
    set.look(kNever);
    EXPECT_TRUE(set.fall_asleep(0));
    member.work = 1;
    set.look(kNever);
    EXPECT_FALSE(set.fall_asleep(kLateNs));
    set.look(kNever);
    EXPECT_TRUE(set.fall_asleep(kLateNs + 1));
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
