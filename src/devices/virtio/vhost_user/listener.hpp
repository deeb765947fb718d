#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "devices/virtio/vhost_user/back_end.hpp"
#include "runtime/reactor.hpp"
#include "runtime/unique_fd.hpp"
#include "runtime/unix_listener.hpp"

namespace touka::devices::virtio {

/// A unix socket where one front-end at a time finds one device; a new device for each connection. Who else connects
/// is turned away. The file's mode and folder say who may. On the reactor, its destructor too.
class VhostUserListener {
public:
    using MakeDevice = std::function<std::unique_ptr<VirtioDevice>()>;
    /// Replaces a socket that an earlier process left at `path`, if it has ended.
    /// @param make_device called on the reactor.  @return what is wrong with the path.
    [[nodiscard]] static std::expected<std::unique_ptr<VhostUserListener>, std::string>
    listen(runtime::Reactor& reactor, const std::string& path, MakeDevice make_device);
    /// @pre no command is in flight: `close` the connection first and wait for `connected` to be false.
    ~VhostUserListener();

    [[nodiscard]] bool connected() const { return connection_ != nullptr; }
    void close_connection() {
        if (connection_) connection_->close();
    }
    [[nodiscard]] VhostUserBackEnd* connection() { return connection_.get(); }

private:
    VhostUserListener(runtime::Reactor& reactor, MakeDevice make_device);
    void accept(runtime::UniqueFd peer);

    runtime::Reactor& reactor_;
    MakeDevice make_device_;
    std::unique_ptr<VhostUserBackEnd> connection_;
    std::unique_ptr<runtime::UnixListener> socket_;
};

} // namespace touka::devices::virtio
