#include "devices/virtio/vhost_user/listener.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace touka::devices::virtio {

std::expected<std::unique_ptr<VhostUserListener>, std::string>
VhostUserListener::listen(runtime::Reactor& reactor, const std::string& path, MakeDevice make_device) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        return std::unexpected(path + ": too long for a socket");
    std::memcpy(address.sun_path, path.data(), path.size());
    const auto* const name = reinterpret_cast<const sockaddr*>(&address);
    const auto make_socket = [] {
        return runtime::UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    };
    if (::connect(make_socket().get(), name, sizeof address) == 0 || errno == EAGAIN) {
        return std::unexpected(path + ": another process listens there");
    }
    runtime::UniqueFd socket = make_socket();
    struct stat status{};
    if (::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) ::unlink(path.c_str());
    if (!socket || ::bind(socket.get(), name, sizeof address) < 0 || ::listen(socket.get(), 1) < 0) {
        return std::unexpected(path + ": " + std::strerror(errno));
    }
    return std::unique_ptr<VhostUserListener>(
        new VhostUserListener(reactor, std::move(socket), path, std::move(make_device)));
}

VhostUserListener::VhostUserListener(runtime::Reactor& reactor, runtime::UniqueFd socket, std::string path,
                                     MakeDevice make_device)
    : reactor_(reactor), socket_(std::move(socket)), path_(std::move(path)), make_device_(std::move(make_device)) {
    watch_ = reactor.watch(socket_.get(), EPOLLIN, [this](std::uint32_t) { accept(); });
}

VhostUserListener::~VhostUserListener() {
    watch_.reset();
    connection_.reset();
    ::unlink(path_.c_str());
}

void VhostUserListener::accept() {
    runtime::UniqueFd peer(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!peer || connection_) return;
    connection_ =
        std::make_unique<VhostUserBackEnd>(reactor_, std::move(peer), make_device_(), [this] { connection_.reset(); });
}

} // namespace touka::devices::virtio
