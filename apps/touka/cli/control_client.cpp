#include "control_client.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "runtime/unique_fd.hpp"

namespace touka::cli {

std::expected<std::string, std::string> ask(std::string_view program, const std::string& socket_path,
                                            const std::string& request) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket_path.size() >= sizeof address.sun_path) {
        return std::unexpected(fmt::format("{}: too long for a socket's path", socket_path));
    }
    std::ranges::copy(socket_path, address.sun_path);
    const runtime::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return std::unexpected(
            fmt::format("{}: no {} answers there ({}); its configuration says where its control socket is", socket_path,
                        program, std::strerror(errno)));
    }
    const std::string line = request + "\n";
    if (::send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size())) {
        return std::unexpected(fmt::format("{}: the connection broke", socket_path));
    }
    std::string answer;
    std::array<char, 4096> buffer{};
    while (!answer.ends_with('\n')) {
        const ssize_t count = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) break;
        answer.append(buffer.data(), static_cast<std::size_t>(count));
    }
    if (!answer.ends_with('\n')) return std::unexpected(fmt::format("{}: no whole answer came", socket_path));
    return answer;
}

} // namespace touka::cli
