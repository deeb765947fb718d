#include "runtime/foreign_eventfd.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <limits>
#include <thread>

namespace touka::runtime {
namespace {

using std::chrono::steady_clock;

constexpr std::uint64_t kFull = std::numeric_limits<std::uint64_t>::max() - 1;

struct Peer {
    explicit Peer(int flags)
        : fd(::eventfd(0, EFD_CLOEXEC | flags)), ours(*ForeignEventfd::take(UniqueFd(::dup(fd.get())))) {}
    void fill() const { EXPECT_EQ(::write(fd.get(), &kFull, sizeof kFull), 8); }
    std::uint64_t read() const {
        std::uint64_t count = 0;
        EXPECT_EQ(::read(fd.get(), &count, sizeof count), 8);
        return count;
    }
    UniqueFd fd;
    ForeignEventfd ours;
};

TEST(ForeignEventfd, IsRaisedAndTakenBackWhateverItsFlagsAre) {
    for (const int flags : {0, static_cast<int>(EFD_NONBLOCK)}) {
        const Peer peer(flags);
        const int before = ::fcntl(peer.fd.get(), F_GETFL);
        peer.ours.signal();
        peer.ours.signal();
        EXPECT_EQ(peer.read(), 2u);
        EXPECT_FALSE(peer.ours.consume());
        peer.ours.signal();
        EXPECT_TRUE(peer.ours.consume());
        EXPECT_EQ(::fcntl(peer.fd.get(), F_GETFL), before);
    }
}

TEST(ForeignEventfd, NothingElseIsTaken) {
    EXPECT_FALSE(ForeignEventfd::take(UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC))));
    const ForeignEventfd none;
    none.signal();
    EXPECT_FALSE(none.consume());
}

TEST(ForeignEventfd, AFullCounterThatMakesWritersWaitHoldsUsUpOnceAndNotForLong) {
    const Peer peer(0);
    peer.fill();
    const auto began = steady_clock::now();
    peer.ours.signal();
    const auto waited = steady_clock::now() - began;
    EXPECT_GT(waited, std::chrono::milliseconds(100)) << "or this tests nothing";
    EXPECT_LT(waited, std::chrono::seconds(5));
    ::fcntl(peer.fd.get(), F_SETFL, O_NONBLOCK);
    (void)peer.read();
    peer.ours.signal();
    EXPECT_FALSE(peer.ours.consume()) << "it is not signalled again";
}

TEST(ForeignEventfd, AFullCounterThatDoesNotMakeThemWaitIsRaisedAlready) {
    const Peer peer(EFD_NONBLOCK);
    peer.fill();
    peer.ours.signal();
    EXPECT_EQ(peer.read(), kFull);
    peer.ours.signal();
    EXPECT_EQ(peer.read(), 1u);
}

TEST(ForeignEventfd, WritersOnManyThreadsAreToldApart) {
    const Peer bad(0), good(EFD_NONBLOCK);
    bad.fill();
    std::thread stuck([&] { bad.ours.signal(); });
    const auto until = steady_clock::now() + std::chrono::milliseconds(1200);
    std::uint64_t sent = 0;
    for (; steady_clock::now() < until; ++sent) good.ours.signal();
    stuck.join();
    EXPECT_EQ(good.read(), sent) << "nothing was taken from it";
}

} // namespace
} // namespace touka::runtime
