#include "devices/passthrough/vfio_user/client_connection.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace touka::devices::passthrough {

using namespace spec::vfio_user;

namespace {

/// Of commands that nobody waits for.
constexpr std::size_t kPostedLimitBytes = 64 * 1024;
constexpr int kMessagesAtOnce = 16;

} // namespace

ClientConnection::ClientConnection(runtime::Reactor& reactor, runtime::UniqueFd socket, Handler on_command,
                                   std::function<void()> on_lost)
    : reactor_(reactor), on_command_(std::move(on_command)), on_lost_(std::move(on_lost)) {
    start(main_, std::move(socket));
}

ClientConnection::~ClientConnection() {
    // On the reactor, so that no handler is in the middle of it.
    reactor_.run_and_wait([&] { unwatch(); });
    waiters_.close();
}

void ClientConnection::start(std::unique_ptr<End>& place, runtime::UniqueFd socket) {
    reactor_.run_and_wait([&] {
        place = std::make_unique<End>(std::move(socket));
        End& end = *place;
        const std::scoped_lock lock(end.mutex);
        end.watch =
            reactor_.watch(end.channel.fd(), EPOLLIN, [this, &end](std::uint32_t events) { on_ready(end, events); });
    });
}

void ClientConnection::unwatch() {
    for (End* const end : {main_.get(), twin_.get()}) {
        if (!end) continue;
        std::unique_ptr<runtime::Reactor::Watch> gone;
        const std::scoped_lock lock(end->mutex);
        gone.swap(end->watch);
    }
}

std::expected<void, std::string> ClientConnection::introduce(std::chrono::milliseconds limit,
                                                             bool address_translation) {
    Capabilities ours;
    ours.max_message_descriptors = MessageChannel::kDescriptorLimit;
    ours.twin_socket = true;
    ours.address_translation = address_translation;
    std::vector<std::byte> payload;
    append(payload, Version{kMajor, kMinor});
    const auto text = write_capabilities(ours);
    payload.insert(payload.end(), text.begin(), text.end());
    auto reply = call(Command::kVersion, payload, limit);
    if (!reply) return std::unexpected("the server does not take the introduction");
    const auto version = reply->at<Version>();
    if (!version || version->major != kMajor || version->minor > kMinor) {
        return std::unexpected("the server speaks another version");
    }
    const auto capabilities = read_capabilities(reply->after(sizeof(Version)));
    if (!capabilities) return std::unexpected("the server's capabilities cannot be read");
    server_ = *capabilities;
    server_.address_translation &= address_translation;
    if (!server_.twin_socket) return {};
    if (!server_.twin_socket_index || *server_.twin_socket_index >= reply->descriptors.size()) {
        return std::unexpected("the server gives no twin socket");
    }
    start(twin_, std::move(reply->descriptors[*server_.twin_socket_index]));
    return {};
}

std::expected<Message, TransportError> ClientConnection::call(Command command, std::span<const std::byte> payload,
                                                              std::chrono::milliseconds limit,
                                                              std::span<const int> descriptors) {
    const auto until = std::chrono::steady_clock::now() + limit;
    const auto id = waiters_.begin();
    if (!id) return std::unexpected(TransportError::kGone);
    const Header header{*id, static_cast<std::uint16_t>(command), 0, kTypeCommand, 0};
    if (!send(*main_, header, payload, descriptors)) fail();
    auto reply = waiters_.wait(*id, until);
    if (!reply || reply->header.command != header.command) {
        fail();
        return std::unexpected(TransportError::kGone);
    }
    if ((reply->header.flags & kError) != 0) return std::unexpected(TransportError::kRefused);
    return std::move(*reply);
}

bool ClientConnection::post(Command command, std::span<const std::byte> payload) {
    {
        const std::scoped_lock lock(main_->mutex);
        if (main_->channel.backlog_bytes() > kPostedLimitBytes) return false;
    }
    if (!send(*main_, {0, static_cast<std::uint16_t>(command), 0, kTypeCommand | kNoReply, 0}, payload)) fail();
    return true;
}

bool ClientConnection::send(End& end, const Header& header, std::span<const std::byte> payload,
                            std::span<const int> descriptors) {
    const std::scoped_lock lock(end.mutex);
    const bool waited = end.channel.backlog_bytes() > 0;
    if (!end.channel.send(header, payload, descriptors)) return false;
    if (!waited && end.channel.backlog_bytes() > 0 && end.watch) end.watch->set_events(EPOLLIN | EPOLLOUT);
    return true;
}

void ClientConnection::fail() {
    if (lost_.exchange(true)) return;
    waiters_.close();
    ::shutdown(main_->channel.fd(), SHUT_RDWR); // the reactor sees the end, and says so
}

// --- the reactor ---

void ClientConnection::on_ready(End& end, std::uint32_t epoll_events) {
    bool good = (epoll_events & (EPOLLHUP | EPOLLERR)) == 0 && !lost_;
    if (good && (epoll_events & EPOLLOUT) != 0) {
        const std::scoped_lock lock(end.mutex);
        good = end.channel.flush().has_value();
        if (end.channel.backlog_bytes() == 0) end.watch->set_events(EPOLLIN);
    }
    for (int i = 0; i < kMessagesAtOnce && good; ++i) {
        auto message = end.channel.receive();
        good = message.has_value();
        if (!good || !*message) break;
        if ((*message)->is_reply()) {
            if (&end == main_.get()) waiters_.deliver(std::move(**message));
        } else {
            serve(end, **message);
        }
    }
    if (good) return;
    fail();
    unwatch();
    if (const auto tell = std::exchange(on_lost_, {})) tell();
}

void ClientConnection::serve(End& end, const Message& command) {
    const auto answer = on_command_(command);
    if (!command.wants_reply()) return;
    Header header{command.header.message_id, command.header.command, 0, kTypeReply, 0};
    if (!answer) {
        header.flags |= kError;
        header.error = static_cast<std::uint32_t>(answer.error());
    }
    if (!send(end, header, answer ? std::span<const std::byte>(*answer) : std::span<const std::byte>())) fail();
}

} // namespace touka::devices::passthrough
