#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/reactor.hpp"
#include "runtime/unique_fd.hpp"
#include "runtime/unix_listener.hpp"

namespace touka::runtime {

/// A Unix socket on which each connection asks one thing: a line of JSON in, a line of JSON out. Permissions of the
/// socket's file (0600) say who may. Bounded in lines and connections: who connects may still be anybody's program.
class ControlSocket {
public:
    /// @param answer gets the line and returns the answer's line; on the reactor's thread.
    [[nodiscard]] static std::expected<std::unique_ptr<ControlSocket>, std::string>
    open(Reactor& reactor, const std::string& path, std::function<std::string(const std::string&)> answer);
    ~ControlSocket();
    ControlSocket(const ControlSocket&) = delete;
    ControlSocket& operator=(const ControlSocket&) = delete;

private:
    struct Client;
    ControlSocket(Reactor& reactor, std::function<std::string(const std::string&)> answer);
    void accept(UniqueFd fd);
    void serve(Client& client);

    Reactor& reactor_;
    std::function<std::string(const std::string&)> answer_;
    std::vector<std::unique_ptr<Client>> clients_;
    std::unique_ptr<UnixListener> listener_;
};

} // namespace touka::runtime
