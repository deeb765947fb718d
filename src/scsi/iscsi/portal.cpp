#include "scsi/iscsi/portal.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <list>
#include <utility>
#include <vector>

#include "runtime/unique_fd.hpp"
#include "scsi/iscsi/socket_address.hpp"

namespace touka::scsi::iscsi {

using runtime::Reactor;
using runtime::UniqueFd;

namespace {

constexpr std::uint64_t kRetryAcceptNs = 1'000'000'000;

void set_option(int fd, int level, int option) {
    const int on = 1;
    ::setsockopt(fd, level, option, &on, sizeof on); // what cannot be set only costs time
}

/// Connections whose output waits for the end of this turn of the reactor: what completes together is sent together.
template <class Socket>
class FlushQueue {
public:
    explicit FlushQueue(Reactor& reactor) : reactor_(reactor) {}
    void add(Socket& socket) {
        sockets_.push_back(&socket);
        if (std::exchange(posted_, true)) return;
        reactor_.post([this] { run(); }); // small enough to need no memory
    }
    void remove(const Socket& socket) {
        std::erase(sockets_, &socket);
        std::ranges::replace(running_, const_cast<Socket*>(&socket), nullptr);
    }
    /// Nobody adds any more; the queue goes by itself.
    void orphan() {
        if (!posted_) {
            delete this;
        } else {
            orphaned_ = true;
        }
    }

private:
    void run() {
        posted_ = false;
        if (orphaned_) return delete this;
        std::swap(sockets_, running_);
        bool any_over = false;
        NetworkEntity* entity = nullptr;
        for (std::size_t i = 0; i < running_.size(); ++i) { // a flush may remove sockets from the list
            if (running_[i] == nullptr) continue;
            entity = &running_[i]->entity();
            any_over |= running_[i]->flush_queued();
        }
        running_.clear();
        if (any_over) entity->collect(); // whoever waits for that may destroy the portal
    }

    Reactor& reactor_;
    std::vector<Socket*> sockets_, running_;
    bool posted_ = false, orphaned_ = false;
};

} // namespace

class Portal::Sockets {
public:
    Sockets(Reactor& reactor, NetworkEntity& entity, PortalId id, UniqueFd listener, std::string address);
    ~Sockets();
    Sockets(const Sockets&) = delete;
    Sockets& operator=(const Sockets&) = delete;
    [[nodiscard]] const std::string& address() const { return address_; }

private:
    class Socket;
    void accept();

    Reactor& reactor_;
    NetworkEntity& entity_;
    PortalId id_;
    std::string address_;
    UniqueFd listener_;
    FlushQueue<Socket>* flushes_; // deletes itself once it is orphaned
    std::list<std::unique_ptr<Socket>> sockets_;
    std::unique_ptr<runtime::Timer> retry_;
    std::unique_ptr<Reactor::Watch> watch_;
};

class Portal::Sockets::Socket final : public Wire {
public:
    Socket(Sockets& portal, UniqueFd fd) : portal_(portal), fd_(std::move(fd)) {}
    ~Socket() {
        portal_.flushes_->remove(*this);
        if (connection_ != nullptr) connection_->wire_lost();
    }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;

    /// @return false when there are too many connections.
    [[nodiscard]] bool start() {
        connection_ = portal_.entity_.accept(*this, portal_.id_);
        if (connection_ == nullptr) return false;
        watch_ = portal_.reactor_.watch(fd_.get(), events_, [this](std::uint32_t events) { handle(events); });
        return true;
    }
    [[nodiscard]] NetworkEntity& entity() { return portal_.entity_; }
    /// @return whether the connection is over; then the socket is gone.
    bool flush_queued() {
        queued_ = false;
        busy_ = true;
        flush();
        busy_ = false;
        return settle();
    }

    void attention() override {
        if (busy_ || std::exchange(queued_, true)) return;
        portal_.flushes_->add(*this);
    }
    [[nodiscard]] std::string local_address() const override { return address_by(::getsockname); }
    [[nodiscard]] std::string peer_address() const override { return address_by(::getpeername); }

private:
    static constexpr int kReceivesPerTurn = 4;

    template <class Call>
    [[nodiscard]] std::string address_by(Call call) const {
        SocketAddress address;
        return call(fd_.get(), address.generic(), &address.length) == 0 ? to_string(address) : std::string();
    }

    void handle(std::uint32_t events) {
        NetworkEntity& entity = portal_.entity_;
        busy_ = true;
        if ((events & (EPOLLHUP | EPOLLERR)) != 0 && !connection_->wants_input()) lost_ = true;
        if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) receive();
        flush();
        busy_ = false;
        if (settle()) entity.collect();
    }

    /// All there is, or as much as a turn may take: of what is left there is no other edge.
    void receive() {
        unread_ = true;
        for (int i = 0; i < kReceivesPerTurn && connection_->wants_input(); ++i) {
            const auto space = connection_->space();
            const std::size_t size = space[0].iov_len + space[1].iov_len;
            const ssize_t count = receive_into(space);
            if (count > 0) connection_->received(static_cast<std::size_t>(count));
            if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) lost_ = true;
            if (count < static_cast<ssize_t>(size)) {
                unread_ = count < 0 && errno == EINTR;
                return;
            }
        }
    }

    /// Calls for sockets cost the kernel less than those for any file, and a lone buffer less than a list.
    [[nodiscard]] ssize_t receive_into(std::array<iovec, 2> space) const {
        if (space[1].iov_len == 0) return ::recv(fd_.get(), space[0].iov_base, space[0].iov_len, MSG_DONTWAIT);
        msghdr message{};
        message.msg_iov = space.data();
        message.msg_iovlen = space.size();
        return ::recvmsg(fd_.get(), &message, MSG_DONTWAIT);
    }

    void flush() {
        std::array<iovec, 192> pieces;
        blocked_ = false;
        while (!lost_) {
            const std::size_t count = connection_->gather(pieces);
            if (count == 0) return;
            msghdr message{};
            message.msg_iov = pieces.data();
            message.msg_iovlen = count;
            const ssize_t sent = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent >= 0) {
                connection_->sent(static_cast<std::size_t>(sent));
            } else if (errno == EAGAIN) {
                blocked_ = true;
                return;
            } else if (errno != EINTR) {
                lost_ = true;
            }
        }
    }

    /// Waits for what is needed next. @return true when the connection is over: the socket is gone.
    bool settle() {
        if (lost_ || connection_->over()) {
            watch_.reset();
            std::erase_if(portal_.sockets_, [&](const auto& socket) { return socket.get() == this; });
            return true;
        }
        const std::uint32_t events = EPOLLET | (connection_->wants_input() ? EPOLLIN : 0u) | (blocked_ ? EPOLLOUT : 0u);
        const bool looks_again = std::exchange(unread_, false) && (events & EPOLLIN) != 0;
        if (std::exchange(events_, events) != events || looks_again) watch_->set_events(events);
        return false;
    }

    Sockets& portal_;
    UniqueFd fd_;
    Connection* connection_ = nullptr;
    std::uint32_t events_ = EPOLLET | EPOLLIN;
    bool busy_ = false;    // in a handler, which flushes at its end
    bool queued_ = false;  // for the end of the turn
    bool blocked_ = false; // the kernel takes nothing at present
    bool lost_ = false;
    bool unread_ = false; // there may be more to receive
    std::unique_ptr<Reactor::Watch> watch_;
};

Portal::Sockets::Sockets(Reactor& reactor, NetworkEntity& entity, PortalId id, UniqueFd listener, std::string address)
    : reactor_(reactor), entity_(entity), id_(id), address_(std::move(address)), listener_(std::move(listener)),
      flushes_(new FlushQueue<Socket>(reactor)), retry_(reactor.make_timer([this] { watch_->set_events(EPOLLIN); })),
      watch_(reactor.watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { accept(); })) {
    entity_.set_portal_address(id_, address_);
}

Portal::Sockets::~Sockets() {
    entity_.forget_portal(id_);
    watch_.reset();
    sockets_.clear();
    flushes_->orphan();
    entity_.collect();
}

void Portal::Sockets::accept() {
    for (int i = 0; i < 16; ++i) {
        UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!fd) {
            if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
            watch_->set_events(0); // no descriptors: the port would stay ready for ever
            return retry_->arm(reactor_.now_ns() + kRetryAcceptNs);
        }
        set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY);
        auto socket = std::make_unique<Socket>(*this, std::move(fd));
        if (socket->start()) sockets_.push_back(std::move(socket));
    }
}

std::expected<std::unique_ptr<Portal>, PortalError> Portal::open(Reactor& reactor, NetworkEntity& entity, PortalId id,
                                                                 std::string_view text) {
    auto address = parse_socket_address(text);
    if (!address) return std::unexpected(PortalError::kBadAddress);
    const int family = address->storage.ss_family;
    UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return std::unexpected(PortalError::kNoSocket);
    set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR);
    if (family == AF_INET6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY);
    if (::bind(fd.get(), address->generic(), address->length) != 0 || ::listen(fd.get(), 128) != 0) {
        return std::unexpected(PortalError::kInUse);
    }
    address->length = sizeof(sockaddr_storage);
    ::getsockname(fd.get(), address->generic(), &address->length);
    auto sockets = std::make_unique<Sockets>(reactor, entity, id, std::move(fd), to_string(*address));
    return std::unique_ptr<Portal>(new Portal(std::move(sockets)));
}

Portal::Portal(std::unique_ptr<Sockets> sockets) : sockets_(std::move(sockets)) {}
Portal::~Portal() = default;
const std::string& Portal::address() const { return sockets_->address(); }

} // namespace touka::scsi::iscsi
