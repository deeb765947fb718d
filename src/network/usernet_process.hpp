#pragma once

#include <sys/types.h>

#include <expected>
#include <string>
#include <utility>
#include <vector>

#include "network/port_forward.hpp"
#include "runtime/unique_fd.hpp"

namespace touka::network {

/// The helper process of a UserPort, from its start to its end; killed with this object.
class UsernetProcess {
public:
    struct Options {
        std::vector<PortForward> forwards;
        bool restricted = false; ///< the guest reaches nothing but the gateway's DHCP; forwards work
        std::string program;     ///< path of touka-usernet; empty: beside the running program
    };
    /// @return the process, or for the user why there is none. It inherits nothing but standard error.
    [[nodiscard]] static std::expected<UsernetProcess, std::string> start(const Options& options);

    UsernetProcess(UsernetProcess&& other) noexcept
        : pid_(std::exchange(other.pid_, -1)), socket_(std::move(other.socket_)) {}
    UsernetProcess& operator=(UsernetProcess&&) = delete;
    ~UsernetProcess();

    [[nodiscard]] int socket() const { return socket_.get(); }
    [[nodiscard]] pid_t pid() const { return pid_; }
    /// Ends the process if it still runs. @return how it ended, for the user: "exit status 1", "signal 9 (Killed)".
    std::string end();

private:
    UsernetProcess(pid_t pid, runtime::UniqueFd socket) : pid_(pid), socket_(std::move(socket)) {}

    pid_t pid_; // -1: no longer there
    runtime::UniqueFd socket_;
};

} // namespace touka::network
