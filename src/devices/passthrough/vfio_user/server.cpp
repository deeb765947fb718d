#include "devices/passthrough/vfio_user/server.hpp"

#include <poll.h>

#include <utility>

namespace touka::devices::passthrough {

namespace {

bool has_left(int socket) {
    pollfd state{socket, POLLRDHUP, 0};
    return ::poll(&state, 1, 0) == 1;
}

} // namespace

VfioUserServer::~VfioUserServer() {
    listener_.reset();
    session_.reset();
}

std::expected<void, std::string> VfioUserServer::listen(const std::string& path) {
    auto listener =
        runtime::UnixListener::listen(reactor_, path, [this](runtime::UniqueFd peer) { accept(std::move(peer)); });
    if (!listener) return std::unexpected(listener.error());
    listener_ = std::move(*listener);
    return {};
}

void VfioUserServer::accept(runtime::UniqueFd socket) {
    if (!session_) return start(std::move(socket));
    if (!next_ || has_left(next_.get())) next_ = std::move(socket);
}

void VfioUserServer::start(runtime::UniqueFd socket) {
    session_ = std::make_unique<Session>(reactor_, std::move(socket), served_, settings_.memory_limit, [this] {
        reactor_.post([this, alive = std::weak_ptr(alive_)] {
            if (!alive.lock()) return;
            session_.reset();
            if (closed_) return std::exchange(closed_, {})();
            if (next_) start(std::exchange(next_, {}));
        });
    });
}

void VfioUserServer::close(std::function<void()> closed) {
    listener_.reset();
    next_.reset();
    if (!session_) return closed();
    closed_ = std::move(closed);
    session_->end();
}

} // namespace touka::devices::passthrough
