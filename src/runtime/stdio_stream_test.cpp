#include "runtime/stdio_stream.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>

namespace touka::runtime {
namespace {

struct Pipe {
    Pipe() {
        std::array<int, 2> fds{};
        EXPECT_EQ(::pipe2(fds.data(), O_CLOEXEC), 0);
        read = UniqueFd(fds[0]);
        write = UniqueFd(fds[1]);
    }
    UniqueFd read, write;
};

struct Terminal {
    Terminal() : master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
        EXPECT_EQ(::grantpt(master.get()), 0);
        EXPECT_EQ(::unlockpt(master.get()), 0);
        slave = UniqueFd(::open(::ptsname(master.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
        EXPECT_TRUE(slave);
    }
    [[nodiscard]] tcflag_t local_flags() const {
        termios settings{};
        EXPECT_EQ(::tcgetattr(slave.get(), &settings), 0);
        return settings.c_lflag;
    }
    UniqueFd master, slave;
};

/// A guest's device with room for so many bytes.
class Guest {
public:
    explicit Guest(std::size_t room = 1 << 30) : room_(room) {}
    std::size_t take(std::span<const std::byte> bytes) {
        const std::scoped_lock lock(mutex_);
        const std::size_t count = std::min(room_, bytes.size());
        for (const std::byte byte : bytes.first(count)) received_.push_back(static_cast<char>(byte));
        room_ -= count;
        offered_ = true;
        changed_.notify_all();
        return count;
    }
    void make_room(std::size_t room) {
        const std::scoped_lock lock(mutex_);
        room_ = room;
    }
    std::string wait_for(std::size_t count) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return received_.size() >= count; });
        return received_;
    }
    void wait_for_offer() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return offered_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::string received_;
    std::size_t room_;
    bool offered_ = false;
};

auto into(Guest& guest) {
    return [&guest](std::span<const std::byte> bytes) { return guest.take(bytes); };
}

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string read_exactly(int fd, std::size_t count) {
    std::string text(count, '\0');
    std::size_t done = 0;
    while (done < count) {
        const ssize_t got = ::read(fd, text.data() + done, count - done);
        if (got <= 0) break;
        done += static_cast<std::size_t>(got);
    }
    text.resize(done);
    return text;
}

TEST(StdioStream, CarriesBytesBothWaysBetweenPipesWithoutAnEscapeKey) {
    Reactor reactor("test");
    Pipe in, out;
    Guest guest;
    bool escaped = false;
    StdioStream stream(reactor,
                       {.input_fd = in.read.get(), .output_fd = out.write.get(), .on_escape = [&] { escaped = true; }});
    stream.set_receiver(into(guest));
    stream.write(bytes_of("hello"));
    EXPECT_EQ(read_exactly(out.read.get(), 5), "hello");
    ASSERT_EQ(::write(in.write.get(),
                      "a\x1d"
                      "b",
                      3),
              3);
    EXPECT_EQ(guest.wait_for(3), "a\x1d"
                                 "b");
    EXPECT_FALSE(escaped);
    EXPECT_FALSE(stream.interactive());
}

TEST(StdioStream, ReadsAPipeOnlyAsFastAsTheGuestTakesIt) {
    Reactor reactor("test");
    Pipe in, out;
    Guest guest(2);
    StdioStream stream(reactor, {.input_fd = in.read.get(), .output_fd = out.write.get(), .on_escape = {}});
    stream.set_receiver(into(guest));
    ASSERT_EQ(::write(in.write.get(), "abcd", 4), 4);
    in.write.reset(); // the end of input must not lose what the guest has not taken
    EXPECT_EQ(guest.wait_for(2), "ab");
    guest.make_room(100);
    stream.resume_input();
    EXPECT_EQ(guest.wait_for(4), "abcd");
}

TEST(StdioStream, FeedsAWholeFile) {
    Reactor reactor("test");
    std::string name = "/tmp/touka-stdio-XXXXXX";
    const UniqueFd file(::mkstemp(name.data()));
    ::unlink(name.c_str());
    const std::string text(20'000, 'x');
    ASSERT_EQ(::write(file.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    ASSERT_EQ(::lseek(file.get(), 0, SEEK_SET), 0);
    Pipe out;
    Guest guest;
    StdioStream stream(reactor, {.input_fd = file.get(), .output_fd = out.write.get(), .on_escape = {}});
    stream.set_receiver(into(guest));
    EXPECT_EQ(guest.wait_for(text.size()), text);
}

TEST(StdioStream, WorksWithClosedDescriptors) {
    Reactor reactor("test");
    Guest guest;
    StdioStream stream(reactor, {.input_fd = -1, .output_fd = -1, .on_escape = {}});
    stream.set_receiver(into(guest));
    stream.write(bytes_of("lost"));
    reactor.run_and_wait([] {});
}

TEST(StdioStream, OutlivesAReaderThatWentAway) {
    Reactor reactor("test");
    Pipe in, out;
    Guest guest;
    StdioStream stream(reactor, {.input_fd = in.read.get(), .output_fd = out.write.get(), .on_escape = {}});
    stream.set_receiver(into(guest));
    out.read.reset();
    stream.write(bytes_of("into the void"));
    ASSERT_EQ(::write(in.write.get(), "k", 1), 1);
    EXPECT_EQ(guest.wait_for(1), "k");
}

TEST(StdioStream, AFullPipeBlocksNobodyAndLosesNothingWithinTheBacklog) {
    Reactor reactor("test");
    Pipe out;
    const std::string line(1000, 'y');
    StdioStream stream(reactor, {.input_fd = -1, .output_fd = out.write.get(), .on_escape = {}});
    for (int i = 0; i < 300; ++i) stream.write(bytes_of(line)); // four times what a pipe holds
    EXPECT_EQ(read_exactly(out.read.get(), 300'000), std::string(300'000, 'y'));
    EXPECT_EQ(stream.dropped_bytes(), 0u);
    EXPECT_EQ(::fcntl(out.write.get(), F_GETFL) & O_NONBLOCK, 0) << "the open file is shared with other programs";
}

TEST(StdioStream, DropsAndCountsWhatExceedsTheBacklog) {
    Reactor reactor("test");
    Pipe out;
    ASSERT_GT(::fcntl(out.write.get(), F_SETPIPE_SZ, 4096), 0);
    StdioStream stream(
        reactor, {.input_fd = -1, .output_fd = out.write.get(), .on_escape = {}, .backlog_bytes = 100, .drain_ms = 0});
    const std::string much(100, 'z');
    for (int i = 0; i < 100; ++i) {
        stream.write(bytes_of(much));
        reactor.run_and_wait([] {});
    }
    EXPECT_GT(stream.dropped_bytes(), 5000u);
}

TEST(StdioStream, WritesToASocketWithoutBlocking) {
    Reactor reactor("test");
    std::array<int, 2> fds{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0);
    const UniqueFd ours(fds[0]), theirs(fds[1]);
    StdioStream stream(reactor, {.input_fd = ours.get(), .output_fd = ours.get(), .on_escape = {}});
    const std::string much(1 << 20, 's');
    stream.write(bytes_of(much));
    EXPECT_EQ(read_exactly(theirs.get(), much.size()), much);
}

TEST(StdioStream, FlushesTheLastWordsWhenDestroyed) {
    Reactor reactor("test");
    Pipe out;
    {
        StdioStream stream(reactor, {.input_fd = -1, .output_fd = out.write.get(), .on_escape = {}});
        stream.write(bytes_of("reboot: Power down"));
    }
    out.write.reset();
    EXPECT_EQ(read_exactly(out.read.get(), 100), "reboot: Power down");
}

TEST(StdioStream, TakesTheEscapeKeyOutOfWhatIsTypedAtATerminal) {
    Reactor reactor("test");
    const Terminal terminal;
    Guest guest;
    int escapes = 0;
    StdioStream stream(reactor, {.input_fd = terminal.slave.get(), .output_fd = terminal.slave.get(), .on_escape = [&] {
                                     ++escapes;
                                 }});
    EXPECT_TRUE(stream.interactive());
    stream.set_receiver(into(guest));
    ASSERT_EQ(::write(terminal.master.get(), "a\x1d\x03", 3), 3);
    EXPECT_EQ(guest.wait_for(2), "a\x03") << "Ctrl-C belongs to the guest";
    reactor.run_and_wait([&] { EXPECT_EQ(escapes, 1); });
}

TEST(StdioStream, SeesTheEscapeKeyWhenTheGuestTakesNothing) {
    Reactor reactor("test");
    const Terminal terminal;
    Guest hung(0);
    Notification escaped;
    StdioStream stream(reactor, {.input_fd = terminal.slave.get(), .output_fd = terminal.slave.get(), .on_escape = [&] {
                                     escaped.signal();
                                 }});
    stream.set_receiver(into(hung));
    ASSERT_EQ(::write(terminal.master.get(), "a", 1), 1);
    hung.wait_for_offer();
    ASSERT_EQ(::write(terminal.master.get(), "\x1d", 1), 1);
    pollfd seen{.fd = escaped.fd(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&seen, 1, 10'000), 1);
}

TEST(StdioStream, RestoresTheTerminal) {
    Reactor reactor("test");
    const Terminal terminal;
    const tcflag_t before = terminal.local_flags();
    {
        const StdioStream stream(
            reactor, {.input_fd = terminal.slave.get(), .output_fd = terminal.slave.get(), .on_escape = {}});
        EXPECT_EQ(terminal.local_flags() & (ECHO | ICANON | ISIG), 0u);
    }
    EXPECT_EQ(terminal.local_flags(), before);
}

} // namespace
} // namespace touka::runtime
