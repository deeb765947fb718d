#include "runtime/control_socket.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>

namespace touka::runtime {

namespace {
constexpr std::size_t kLineLimitBytes = 65536, kClientLimit = 16;
}

struct ControlSocket::Client {
    UniqueFd fd;
    std::string input, output;
    bool finished = false;
    std::unique_ptr<Reactor::Watch> watch;
};

std::expected<std::unique_ptr<ControlSocket>, std::string>
ControlSocket::open(Reactor& reactor, const std::string& path, std::function<std::string(const std::string&)> answer) {
    std::unique_ptr<ControlSocket> socket(new ControlSocket(reactor, std::move(answer)));
    const mode_t before = ::umask(0177);
    auto listener =
        UnixListener::listen(reactor, path, [control = socket.get()](UniqueFd fd) { control->accept(std::move(fd)); });
    ::umask(before);
    if (!listener) return std::unexpected("the control socket cannot be made: " + listener.error());
    reactor.run_and_wait([&] { socket->listener_ = std::move(*listener); });
    return socket;
}

ControlSocket::ControlSocket(Reactor& reactor, std::function<std::string(const std::string&)> answer)
    : reactor_(reactor), answer_(std::move(answer)) {}

ControlSocket::~ControlSocket() {
    reactor_.run_and_wait([this] {
        listener_.reset();
        clients_.clear();
    });
}

void ControlSocket::accept(UniqueFd fd) {
    std::erase_if(clients_, [](const auto& client) { return client->finished; });
    if (clients_.size() >= kClientLimit) return;
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

} // namespace touka::runtime
