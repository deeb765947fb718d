#include "control_socket.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace touka::target {

namespace {
constexpr std::size_t kLineLimitBytes = 65536, kClientLimit = 16;
}

struct ControlSocket::Client {
    runtime::UniqueFd fd;
    std::string input, output;
    bool finished = false;
    std::unique_ptr<runtime::Reactor::Watch> watch;
};

std::expected<std::unique_ptr<ControlSocket>, std::string>
ControlSocket::open(runtime::Reactor& reactor, const std::string& path,
                    std::function<std::string(const std::string&)> answer) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        return std::unexpected(fmt::format("{}: a socket's path has at most {} characters; choose a shorter one", path,
                                           sizeof address.sun_path - 1));
    }
    std::ranges::copy(path, address.sun_path);
    runtime::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    // A socket that nobody listens on is left from a program that was killed.
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
        return std::unexpected(
            fmt::format("{}: another touka-target listens there; choose another control socket", path));
    }
    if (errno == ECONNREFUSED) ::unlink(path.c_str());
    fd = runtime::UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const mode_t before = ::umask(0177);
    const int bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    const int error = errno;
    ::umask(before);
    if (bound != 0 || ::listen(fd.get(), static_cast<int>(kClientLimit)) != 0) {
        return std::unexpected(fmt::format("{}: the control socket cannot be made: {}", path, std::strerror(error)));
    }
    return std::unique_ptr<ControlSocket>(new ControlSocket(reactor, path, std::move(fd), std::move(answer)));
}

ControlSocket::ControlSocket(runtime::Reactor& reactor, std::string path, runtime::UniqueFd listener,
                             std::function<std::string(const std::string&)> answer)
    : reactor_(reactor), path_(std::move(path)), listener_(std::move(listener)), answer_(std::move(answer)) {
    watch_ = reactor_.watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { accept(); });
}

ControlSocket::~ControlSocket() {
    watch_.reset();
    reactor_.run_and_wait([this] { clients_.clear(); });
    ::unlink(path_.c_str());
}

void ControlSocket::accept() {
    std::erase_if(clients_, [](const auto& client) { return client->finished; });
    runtime::UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd || clients_.size() >= kClientLimit) return;
    Client& client = *clients_.emplace_back(std::make_unique<Client>());
    client.fd = std::move(fd);
    client.watch = reactor_.watch(client.fd.get(), EPOLLIN, [this, &client](std::uint32_t) { serve(client); });
}

/// Reads until there is a line, answers it, and writes until the answer is out.
void ControlSocket::serve(Client& client) {
    const auto finish = [&] {
        client.finished = true;
        client.watch->set_events(0);
        ::shutdown(client.fd.get(), SHUT_RDWR);
        client.watch.reset();
        client.fd.reset();
    };
    if (client.output.empty()) {
        std::array<char, 4096> buffer{};
        const ssize_t count = ::recv(client.fd.get(), buffer.data(), buffer.size(), 0);
        if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (count <= 0) return finish();
        client.input.append(buffer.data(), static_cast<std::size_t>(count));
        const auto end = client.input.find('\n');
        if (end == std::string::npos) {
            if (client.input.size() > kLineLimitBytes) finish();
            return;
        }
        client.output = answer_(client.input.substr(0, end)) + "\n";
    }
    const ssize_t sent = ::send(client.fd.get(), client.output.data(), client.output.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return finish();
    if (sent > 0) client.output.erase(0, static_cast<std::size_t>(sent));
    if (client.output.empty()) return finish();
    client.watch->set_events(EPOLLOUT);
}

} // namespace touka::target
