#include "runtime/unix_listener.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace touka::runtime {

std::expected<std::unique_ptr<UnixListener>, std::string>
UnixListener::listen(Reactor& reactor, const std::string& path, OnConnection on_connection) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        return std::unexpected(path + ": too long for a socket");
    std::memcpy(address.sun_path, path.data(), path.size());
    const auto* const name = reinterpret_cast<const sockaddr*>(&address);
    const auto make_socket = [] { return UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)); };
    if (::connect(make_socket().get(), name, sizeof address) == 0 || errno == EAGAIN) {
        return std::unexpected(path + ": another process listens there");
    }
    UniqueFd socket = make_socket();
    struct stat status{};
    if (::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) ::unlink(path.c_str());
    if (!socket || ::bind(socket.get(), name, sizeof address) < 0 || ::listen(socket.get(), 1) < 0) {
        return std::unexpected(path + ": " + std::strerror(errno));
    }
    return std::unique_ptr<UnixListener>(new UnixListener(reactor, std::move(socket), path, std::move(on_connection)));
}

UnixListener::UnixListener(Reactor& reactor, UniqueFd socket, std::string path, OnConnection on_connection)
    : socket_(std::move(socket)), path_(std::move(path)), on_connection_(std::move(on_connection)) {
    watch_ = reactor.watch(socket_.get(), EPOLLIN, [this](std::uint32_t) {
        UniqueFd peer(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (peer) on_connection_(std::move(peer));
    });
}

UnixListener::~UnixListener() {
    watch_.reset();
    ::unlink(path_.c_str());
}

} // namespace touka::runtime
