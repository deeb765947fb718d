#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/guarded.hpp"
#include "runtime/reactor.hpp"
#include "runtime/unique_fd.hpp"
#include "runtime/unix_listener.hpp"

namespace touka::runtime {

/// A Unix socket on which each connection asks one thing: a line of JSON in, a line of JSON out. Permissions of the
/// socket's file (0600) say who may. Bounded in lines and connections: who connects may still be anybody's program.
class ControlSocket {
public:
    /// Takes the answer's line, the first time that it is called; any thread, also when the asker has gone, or the
    /// socket.
    using Reply = std::function<void(std::string)>;

    /// @param answer gets the line and returns the answer's line; on the reactor's thread.
    [[nodiscard]] static std::expected<std::unique_ptr<ControlSocket>, std::string>
    open(Reactor& reactor, const std::string& path, std::function<std::string(const std::string&)> answer);
    /// The same for answers that take their time. @param ask gets the line; on the reactor's thread.
    [[nodiscard]] static std::expected<std::unique_ptr<ControlSocket>, std::string>
    open_for_later(Reactor& reactor, const std::string& path, std::function<void(const std::string&, Reply)> ask);
    ~ControlSocket();
    ControlSocket(const ControlSocket&) = delete;
    ControlSocket& operator=(const ControlSocket&) = delete;

private:
    struct Client;
    /// Where replies go while there is a socket.
    using Mailbox = Guarded<Reactor*>;
    ControlSocket(Reactor& reactor, std::function<void(const std::string&, Reply)> ask);
    void accept(UniqueFd fd);
    void read_line(const std::shared_ptr<Client>& client);
    [[nodiscard]] Reply reply_to(const std::shared_ptr<Client>& client) const;

    Reactor& reactor_;
    std::function<void(const std::string&, Reply)> ask_;
    std::shared_ptr<Mailbox> mailbox_;             // replies have it, too, and may outlive the socket
    std::vector<std::shared_ptr<Client>> clients_; // replies have weak pointers to them
    std::unique_ptr<UnixListener> listener_;
};

} // namespace touka::runtime
