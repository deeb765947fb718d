#include "devices/virtio/vhost_user/listener.hpp"

#include <utility>

namespace touka::devices::virtio {

std::expected<std::unique_ptr<VhostUserListener>, std::string>
VhostUserListener::listen(runtime::Reactor& reactor, const std::string& path, MakeDevice make_device) {
    auto made = std::unique_ptr<VhostUserListener>(new VhostUserListener(reactor, std::move(make_device)));
    auto socket = runtime::UnixListener::listen(
        reactor, path, [listener = made.get()](runtime::UniqueFd peer) { listener->accept(std::move(peer)); });
    if (!socket) return std::unexpected(socket.error());
    made->socket_ = std::move(*socket);
    return made;
}

VhostUserListener::VhostUserListener(runtime::Reactor& reactor, MakeDevice make_device)
    : reactor_(reactor), make_device_(std::move(make_device)) {}

VhostUserListener::~VhostUserListener() {
    socket_.reset();
    connection_.reset();
}

void VhostUserListener::accept(runtime::UniqueFd peer) {
    if (connection_) return;
    connection_ =
        std::make_unique<VhostUserBackEnd>(reactor_, std::move(peer), make_device_(), [this] { connection_.reset(); });
}

} // namespace touka::devices::virtio
