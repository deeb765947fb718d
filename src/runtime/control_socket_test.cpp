#include "runtime/control_socket.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <future>

namespace touka::runtime {
namespace {

class ControlSocketTest : public testing::Test {
protected:
    [[nodiscard]] UniqueFd dial() const {
        UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::ranges::copy(path_, address.sun_path);
        EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        return fd;
    }
    static void send(const UniqueFd& fd, const std::string& text) {
        ASSERT_EQ(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    }
    /// All that comes until the other end closes.
    [[nodiscard]] static std::string read_all(const UniqueFd& fd) {
        std::string all;
        std::array<char, 4096> buffer{};
        for (ssize_t count; (count = ::recv(fd.get(), buffer.data(), buffer.size(), 0)) > 0;) {
            all.append(buffer.data(), static_cast<std::size_t>(count));
        }
        return all;
    }

    std::string path_ = "/tmp/touka-control-test-" + std::to_string(::getpid());
    Reactor reactor_{"test"};
};

TEST_F(ControlSocketTest, AnswersALineWithALine) {
    const auto socket = ControlSocket::open(reactor_, path_, [](const std::string& line) { return line + "!"; });
    ASSERT_TRUE(socket) << socket.error();
    const UniqueFd client = dial();
    send(client, "question\nrest");
    EXPECT_EQ(read_all(client), "question!\n");
}

TEST_F(ControlSocketTest, AnswersLaterOthersMeanwhileAndOnce) {
    std::promise<ControlSocket::Reply> first;
    const auto ask = [&](const std::string& line, ControlSocket::Reply reply) {
        if (line == "slow") return first.set_value(std::move(reply));
        reply("at once");
    };
    const auto socket = ControlSocket::open_for_later(reactor_, path_, ask);
    ASSERT_TRUE(socket) << socket.error();
    const UniqueFd slow = dial(), quick = dial();
    send(slow, "slow\n");
    const ControlSocket::Reply reply = first.get_future().get();
    send(quick, "quick\n");
    EXPECT_EQ(read_all(quick), "at once\n");
    reply("done");
    reply("again");
    EXPECT_EQ(read_all(slow), "done\n");
}

TEST_F(ControlSocketTest, AReplyMayComeAfterTheAskerOrTheSocketHasGone) {
    std::promise<ControlSocket::Reply> asked;
    auto socket = ControlSocket::open_for_later(
        reactor_, path_, [&](const std::string&, ControlSocket::Reply reply) { asked.set_value(std::move(reply)); });
    ASSERT_TRUE(socket) << socket.error();
    UniqueFd client = dial();
    send(client, "question\n");
    const ControlSocket::Reply reply = asked.get_future().get();
    client.reset();
    reply("nobody");
    socket->reset();
    reply("nowhere");
}

TEST_F(ControlSocketTest, ALineWithoutEndIsGivenUp) {
    const auto socket = ControlSocket::open(reactor_, path_, [](const std::string&) { return std::string("no"); });
    ASSERT_TRUE(socket) << socket.error();
    const UniqueFd client = dial();
    const std::string piece(60000, 'x');
    send(client, piece);
    send(client, piece);
    EXPECT_EQ(read_all(client), "");
}

} // namespace
} // namespace touka::runtime
