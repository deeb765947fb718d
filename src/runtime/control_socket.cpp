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
    enum class Phase { kReading, kWaiting, kWriting, kFinished };
    UniqueFd fd;
    std::string input, output;
    Phase phase = Phase::kReading;
    std::unique_ptr<Reactor::Watch> watch;

    void finish() {
        phase = Phase::kFinished;
        watch->set_events(0);
        ::shutdown(fd.get(), SHUT_RDWR);
        watch.reset();
        fd.reset();
    }
    void write() {
        const ssize_t sent = ::send(fd.get(), output.data(), output.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) return finish();
        if (sent > 0) output.erase(0, static_cast<std::size_t>(sent));
        if (output.empty()) return finish();
        watch->set_events(EPOLLOUT);
    }
};

std::expected<std::unique_ptr<ControlSocket>, std::string>
ControlSocket::open(Reactor& reactor, const std::string& path, std::function<std::string(const std::string&)> answer) {
    return open_for_later(reactor, path, [answer = std::move(answer)](const std::string& line, const Reply& reply) {
        reply(answer(line));
    });
}

std::expected<std::unique_ptr<ControlSocket>, std::string>
ControlSocket::open_for_later(Reactor& reactor, const std::string& path,
                              std::function<void(const std::string&, Reply)> ask) {
    std::unique_ptr<ControlSocket> socket(new ControlSocket(reactor, std::move(ask)));
    const mode_t before = ::umask(0177);
    auto listener =
        UnixListener::listen(reactor, path, [control = socket.get()](UniqueFd fd) { control->accept(std::move(fd)); });
    ::umask(before);
    if (!listener) return std::unexpected("the control socket cannot be made: " + listener.error());
    reactor.run_and_wait([&] { socket->listener_ = std::move(*listener); });
    return socket;
}

ControlSocket::ControlSocket(Reactor& reactor, std::function<void(const std::string&, Reply)> ask)
    : reactor_(reactor), ask_(std::move(ask)), mailbox_(std::make_shared<Mailbox>(&reactor)) {}

ControlSocket::~ControlSocket() {
    *mailbox_->lock() = nullptr;
    reactor_.run_and_wait([this] {
        listener_.reset();
        clients_.clear();
    });
}

void ControlSocket::accept(UniqueFd fd) {
    std::erase_if(clients_, [](const auto& client) { return client->phase == Client::Phase::kFinished; });
    if (clients_.size() >= kClientLimit) return;
    const auto& client = clients_.emplace_back(std::make_shared<Client>());
    client->fd = std::move(fd);
    client->watch = reactor_.watch(client->fd.get(), EPOLLIN, [this, from = std::weak_ptr(client)](std::uint32_t) {
        const auto found = from.lock();
        if (!found) return;
        switch (found->phase) {
            case Client::Phase::kReading: return read_line(found);
            case Client::Phase::kWaiting: return found->finish(); // only its end is reported then
            case Client::Phase::kWriting: return found->write();
            case Client::Phase::kFinished: return;
        }
    });
}

/// Reads until there is a line, and asks.
void ControlSocket::read_line(const std::shared_ptr<Client>& client) {
    std::array<char, 4096> buffer{};
    const ssize_t count = ::recv(client->fd.get(), buffer.data(), buffer.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) return client->finish();
    client->input.append(buffer.data(), static_cast<std::size_t>(count));
    const auto end = client->input.find('\n');
    if (end == std::string::npos) {
        if (client->input.size() > kLineLimitBytes) client->finish();
        return;
    }
    client->phase = Client::Phase::kWaiting;
    client->watch->set_events(0);
    ask_(client->input.substr(0, end), reply_to(client));
}

ControlSocket::Reply ControlSocket::reply_to(const std::shared_ptr<Client>& client) const {
    return [mailbox = mailbox_, to = std::weak_ptr(client)](std::string answer) {
        auto reactor = mailbox->lock();
        if (*reactor == nullptr) return;
        (*reactor)->post([to, answer = std::move(answer)] {
            const auto found = to.lock();
            if (!found || found->phase != Client::Phase::kWaiting) return;
            found->phase = Client::Phase::kWriting;
            found->output = answer + "\n";
            found->write();
        });
    };
}

} // namespace touka::runtime
