#include "runtime/reactor.hpp"

#include <gtest/gtest.h>
#include <sys/epoll.h>

#include <future>

#include "runtime/manual_timers.hpp"
#include "runtime/notification.hpp"

namespace touka::runtime {
namespace {

TEST(Reactor, RunsPostedWorkInOrderOnItsOwnThread) {
    Reactor reactor("test");
    std::vector<int> order;
    bool inside = false;
    reactor.post([&] { order.push_back(1); });
    reactor.post([&] { inside = reactor.in_reactor(); });
    reactor.run_and_wait([&] { order.push_back(2); });
    EXPECT_EQ(order, (std::vector{1, 2}));
    EXPECT_TRUE(inside);
    EXPECT_FALSE(reactor.in_reactor());
}

TEST(Reactor, CallsTheHandlerOfAReadyDescriptor) {
    Reactor reactor("test");
    Notification notification;
    std::promise<std::uint32_t> ready;
    const auto watch = reactor.watch(notification.fd(), EPOLLIN, [&](std::uint32_t events) {
        if (notification.consume()) ready.set_value(events);
    });
    notification.signal();
    EXPECT_EQ(ready.get_future().get() & EPOLLIN, std::uint32_t{EPOLLIN});
}

TEST(Reactor, AMutedWatchStaysQuiet) {
    Reactor reactor("test");
    Notification notification;
    int calls = 0;
    const auto watch = reactor.watch(notification.fd(), EPOLLIN, [&](std::uint32_t) { ++calls; });
    reactor.run_and_wait([&] { watch->set_events(0); });
    const int calls_before = calls;
    notification.signal();
    for (int i = 0; i < 100; ++i) reactor.run_and_wait([] {});
    EXPECT_EQ(calls, calls_before);
}

TEST(Reactor, FiresTimersNotBeforeTheirDeadlineAndInOrder) {
    Reactor reactor("test");
    std::promise<void> done;
    std::vector<int> order;
    const std::uint64_t start_ns = reactor.now_ns();
    std::uint64_t fired_ns = 0;
    const auto late = reactor.make_timer([&] {
        order.push_back(2);
        fired_ns = reactor.now_ns();
        done.set_value();
    });
    const auto early = reactor.make_timer([&] { order.push_back(1); });
    late->arm(start_ns + 2'000'000);
    early->arm(start_ns + 1'000'000);
    done.get_future().wait();
    EXPECT_EQ(order, (std::vector{1, 2}));
    EXPECT_GE(fired_ns, start_ns + 2'000'000);
}

TEST(Reactor, ADestroyedTimerNeverFires) {
    Reactor reactor("test");
    std::promise<void> busy, gone;
    reactor.post([&] {
        busy.set_value();
        gone.get_future().wait();
    });
    busy.get_future().wait();
    bool fired = false;
    reactor.make_timer([&] { fired = true; })->arm(reactor.now_ns()); // due, but the reactor is busy
    gone.set_value();
    std::promise<void> later;
    const auto timer = reactor.make_timer([&] { later.set_value(); });
    timer->arm(reactor.now_ns() + 1'000'000);
    later.get_future().wait();
    EXPECT_FALSE(fired);
}

TEST(ManualTimers, FiresInOrderOfDeadlineWithTheClockAtEach) {
    ManualTimers timers;
    std::vector<std::uint64_t> fired_at;
    const auto second = timers.make_timer([&] { fired_at.push_back(timers.now_ns()); });
    std::unique_ptr<Timer> first;
    first = timers.make_timer([&] {
        fired_at.push_back(timers.now_ns());
        if (fired_at.size() < 2) first->arm(timers.now_ns() + 10);
    });
    second->arm(100);
    first->arm(50);
    timers.advance(99);
    EXPECT_EQ(fired_at, (std::vector<std::uint64_t>{50, 60}));
    timers.advance(1);
    EXPECT_EQ(fired_at.back(), 100u);
}

} // namespace
} // namespace touka::runtime
