#pragma once

#include <chrono>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "devices/passthrough/vfio_user/session.hpp"
#include "runtime/unix_listener.hpp"

namespace touka::devices::passthrough {

/// A function at a unix socket: one client at a time, the next one when the function is reset after the one before.
/// Who connects meanwhile waits for that, one at most; others are turned away, unless the one that waits has left. On
/// the reactor, its destructor too.
class VfioUserServer {
public:
    struct Settings {
        /// How long a device waits for memory of a client that it has to ask for.
        std::chrono::milliseconds memory_limit{2000};
    };
    VfioUserServer(runtime::Reactor& reactor, const ServedDevice& served, const Settings& settings)
        : reactor_(reactor), served_(served), settings_(settings) {}
    /// @pre no client: `close` it first and wait for `connected` to be false.
    ~VfioUserServer();

    /// Replaces a socket that an earlier process left at `path`, if it has ended. @return what is wrong with the path.
    [[nodiscard]] std::expected<void, std::string> listen(const std::string& path);
    /// A client that is connected already.
    void accept(runtime::UniqueFd socket);

    [[nodiscard]] bool connected() const { return session_ != nullptr; }
    [[nodiscard]] Session* session() { return session_.get(); }
    /// Nobody is let in any more, and who is in goes. @param closed called once, perhaps before this returns, when the
    /// function has been reset and its client's memory is not reached any more.
    void close(std::function<void()> closed = [] {});

private:
    void start(runtime::UniqueFd socket);

    runtime::Reactor& reactor_;
    ServedDevice served_;
    Settings settings_;
    std::unique_ptr<Session> session_;
    std::function<void()> closed_; // empty while open
    runtime::UniqueFd next_;       // waits for the session before it
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    std::unique_ptr<runtime::UnixListener> listener_;
};

} // namespace touka::devices::passthrough
