// The client's end of a connection: commands and their replies, and the server's commands. (vfio-user Protocol,
// "Command Concurrency", "VFIO_USER_VERSION")
#pragma once

#include <atomic>
#include <chrono>
#include <expected>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "devices/passthrough/device_transport.hpp"
#include "devices/passthrough/vfio_user/capabilities.hpp"
#include "devices/passthrough/vfio_user/message_channel.hpp"
#include "devices/passthrough/vfio_user/reply_waiters.hpp"
#include "runtime/reactor.hpp"

namespace touka::devices::passthrough {

/// From connecting to the first failure, whatever that is: then every call fails, now and later. A server that does not
/// answer in time has failed. Any thread; calls not from the reactor, which reads.
class ClientConnection {
public:
    /// The payload of the reply, or an errno.
    using Handler = std::function<std::expected<std::vector<std::byte>, int>(const Message& command)>;

    /// @param reactor outlives the connection.  @param on_command, on_lost called on the reactor, the latter once.
    ClientConnection(runtime::Reactor& reactor, runtime::UniqueFd socket, Handler on_command,
                     std::function<void()> on_lost);
    ~ClientConnection();
    ClientConnection(const ClientConnection&) = delete;
    ClientConnection& operator=(const ClientConnection&) = delete;

    /// VFIO_USER_VERSION. @return what does not fit, in words.
    /// @param address_translation this end answers translation requests.
    [[nodiscard]] std::expected<void, std::string> introduce(std::chrono::milliseconds limit, bool address_translation);
    /// Of what the server can do, what this end can, too.
    [[nodiscard]] const Capabilities& server() const { return server_; }

    /// @return the reply, when it is no error.
    [[nodiscard]] std::expected<Message, TransportError> call(Command command, std::span<const std::byte> payload,
                                                              std::chrono::milliseconds limit,
                                                              std::span<const int> descriptors = {});
    /// Sends a command that is not replied to. @return false when too many bytes wait already: then call.
    [[nodiscard]] bool post(Command command, std::span<const std::byte> payload);

    [[nodiscard]] bool lost() const { return lost_.load(); }
    /// Ends it from this side.
    void fail();

private:
    /// Where commands of the server come in: this connection's socket, or the twin.
    struct End {
        explicit End(runtime::UniqueFd socket) : channel(std::move(socket)) {}
        MessageChannel channel; // received on the reactor, sent under the mutex
        std::mutex mutex;
        std::unique_ptr<runtime::Reactor::Watch> watch; // under the mutex
    };
    void start(std::unique_ptr<End>& place, runtime::UniqueFd socket);
    void unwatch();
    void on_ready(End& end, std::uint32_t epoll_events);
    void serve(End& end, const Message& command);
    [[nodiscard]] bool send(End& end, const spec::vfio_user::Header& header, std::span<const std::byte> payload,
                            std::span<const int> descriptors = {});

    runtime::Reactor& reactor_;
    Handler on_command_;
    std::function<void()> on_lost_;
    std::atomic<bool> lost_{false};
    Capabilities server_; // written by introduce()
    ReplyWaiters waiters_;
    std::unique_ptr<End> main_, twin_;
};

} // namespace touka::devices::passthrough
