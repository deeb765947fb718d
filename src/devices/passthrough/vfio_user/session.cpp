#include "devices/passthrough/vfio_user/session.hpp"

#include <poll.h>
#include <sys/epoll.h>

#include <cerrno>
#include <utility>

namespace touka::devices::passthrough {

using namespace spec::vfio_user;
using spec::vfio::VFIO_PCI_NUM_IRQS;
using Clock = std::chrono::steady_clock;

namespace {

/// Output that waits for the client: beyond this, it gets no more answers until it reads.
constexpr std::size_t kAnswerBacklogBytes = MessageChannel::kBacklogLimitBytes / 4;

std::array<std::uint32_t, VFIO_PCI_NUM_IRQS> interrupt_counts(platform::PciFunction& function) {
    const std::uint32_t pin = function.read_config(spec::pci::offset::kInterruptPin, 1);
    return {pin != 0 ? 1u : 0u, 0u, function.msix_vector_count(), 1u, 1u};
}

} // namespace

Session::Session(runtime::Reactor& reactor, runtime::UniqueFd socket, const ServedDevice& served,
                 std::chrono::milliseconds memory_limit, std::function<void()> on_closed)
    : reactor_(reactor), channel_(std::move(socket)), served_(served), memory_limit_(memory_limit),
      on_closed_(std::move(on_closed)),
      interrupts_(reactor, interrupt_counts(served.function),
                  [&function = served.function](auto then) { function.when_settled(std::move(then)); }),
      migration_(served.function) {
    served_.function.attach({.interrupt = &interrupts_});
    served_.function.set_msix_outlet(&interrupts_);
    watch_ = reactor.watch(channel_.fd(), EPOLLIN, [this](std::uint32_t events) { on_ready(events); });
}

Session::~Session() {
    watch_.reset();
    served_.function.set_msix_outlet(nullptr);
    served_.function.detach();
}

void Session::end() {
    if (std::exchange(closing_, true)) return;
    watch_.reset();
    postponed_.clear();
    waiters_.close();
    if (commands_) commands_->close();
    served_.space.set_remote(nullptr);
    if (translates_) served_.translated->lose_source();
    served_.space.stop_logging();
    interrupts_.clear();
    // Its requests end with faults where they still need memory; then it is as new for the next client.
    served_.space.revoke_all([this, alive = std::weak_ptr(alive_)](const auto&) {
        reactor_.post([this, alive] {
            if (!alive.lock()) return;
            if (translates_) served_.translated->end();
            migration_.reset();
            if (served_.sharing != nullptr) served_.sharing->client_left();
            on_closed_();
        });
    });
}

// --- messages ---

void Session::on_ready(std::uint32_t epoll_events) {
    if ((epoll_events & EPOLLOUT) != 0) {
        const std::scoped_lock lock(send_mutex_);
        failed_ |= !channel_.flush();
    }
    for (int i = 0; i < 16 && !closing_ && !failed_ && postponed_.size() < kPostponedLimit; ++i) {
        if (!take_message()) break;
        work();
    }
    work();
    if (failed_ || (epoll_events & (EPOLLHUP | EPOLLERR)) != 0) return end();
    update_watch();
}

bool Session::take_message() {
    auto message = channel_.receive();
    if (!message) failed_ = true;
    if (!message || !*message) return false;
    if ((*message)->is_reply()) {
        waiters_.deliver(std::move(**message));
    } else {
        postponed_.push_back(std::move(**message));
    }
    return true;
}

void Session::work() {
    while (!postponed_.empty() && !busy_ && !closing_ && !failed_) {
        {
            const std::scoped_lock lock(send_mutex_);
            if (channel_.backlog_bytes() > kAnswerBacklogBytes) return;
        }
        Message message = std::move(postponed_.front());
        postponed_.pop_front();
        busy_ = true;
        handle(message);
        busy_ = waiting_;
    }
}

void Session::update_watch() {
    if (!watch_) return;
    const std::scoped_lock lock(send_mutex_);
    std::uint32_t events = 0;
    if (postponed_.size() < kPostponedLimit) events |= EPOLLIN;
    if (channel_.backlog_bytes() > 0) events |= EPOLLOUT;
    watch_->set_events(events);
}

void Session::handle(Message& message) {
    const Header header = message.header;
    const bool is_version = message.command() == Command::kVersion;
    if (!introduced_ && !is_version) {
        reply(header, std::unexpected(EINVAL));
        failed_ = true;
        return;
    }
    auto answer = dispatch(message);
    if (answer && !*answer) return;
    if (answer) {
        reply(header, std::move(**answer));
    } else {
        reply(header, std::unexpected(answer.error()));
        failed_ |= is_version && !introduced_;
    }
    twin_peer_.reset();
}

void Session::reply(const Header& to, const std::expected<Reply, int>& answer) {
    if ((to.flags & kNoReply) != 0) return;
    Header header{to.message_id, to.command, 0, kTypeReply, 0};
    if (answer) {
        failed_ |= !send(header, answer->payload, answer->descriptors);
        return;
    }
    header.flags |= kError;
    header.error = static_cast<std::uint32_t>(answer.error());
    failed_ |= !send(header, {});
}

bool Session::send(Header header, std::span<const std::byte> payload, std::span<const int> descriptors) {
    const std::scoped_lock lock(send_mutex_);
    return channel_.send(header, payload, descriptors).has_value();
}

Session::Answer Session::dispatch(Message& message) {
    switch (message.command()) {
        case Command::kVersion: return version(message);
        case Command::kDmaMap: return dma_map(message);
        case Command::kDmaUnmap: return dma_unmap(message);
        case Command::kInvalidateTranslations: return invalidate_translations(message);
        case Command::kDeviceGetInfo: return device_info(message);
        case Command::kDeviceGetRegionInfo: return region_info(message);
        case Command::kDeviceGetRegionIoFds: return region_io_fds(message);
        case Command::kDeviceGetIrqInfo: return irq_info(message);
        case Command::kDeviceSetIrqs:
            if (const auto set = interrupts_.set(message); !set) return std::unexpected(set.error());
            return Reply{};
        case Command::kRegionRead: return read(message);
        case Command::kRegionWrite: return write(message);
        case Command::kRegionWriteMulti: return write_multiple(message);
        case Command::kDeviceReset: migration_.reset(); return Reply{};
        case Command::kDeviceFeature: return feature(message);
        case Command::kMigDataRead: return migration_read(message);
        case Command::kMigDataWrite: return migration_write(message);
        case Command::kDmaRead:
        case Command::kDmaWrite:
        case Command::kTranslate: break; // the server's
    }
    return std::unexpected(EINVAL);
}

// --- memory that the client has to be asked for ---

std::optional<Message> Session::call(Command command, std::span<const std::byte> payload,
                                     std::chrono::milliseconds limit) {
    const auto until = Clock::now() + limit;
    const auto id = waiters_.begin();
    if (!id) return std::nullopt;
    bool rest = false;
    {
        const std::scoped_lock lock(send_mutex_);
        const Header header{*id, static_cast<std::uint16_t>(command), 0, kTypeCommand, 0};
        if (!channel_.send(header, payload)) return waiters_.wait(*id, Clock::time_point{});
        rest = channel_.backlog_bytes() > 0;
    }
    if (reactor_.in_reactor()) {
        read_while_waiting(*id, until);
    } else if (rest) {
        reactor_.post([this, alive = std::weak_ptr(alive_)] {
            if (alive.lock()) update_watch();
        });
    }
    return waiters_.wait(*id, reactor_.in_reactor() ? Clock::time_point{} : until);
}

void Session::read_while_waiting(std::uint16_t id, Clock::time_point until) {
    while (!waiters_.arrived(id) && !failed_ && postponed_.size() < kPostponedLimit) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
        pollfd ready{channel_.fd(), POLLIN, 0};
        {
            const std::scoped_lock lock(send_mutex_);
            if (channel_.backlog_bytes() > 0) ready.events |= POLLOUT;
        }
        const int count = left <= 0 ? 0 : ::poll(&ready, 1, static_cast<int>(left));
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return;
        {
            const std::scoped_lock lock(send_mutex_);
            failed_ |= !channel_.flush();
        }
        (void)take_message();
    }
}

} // namespace touka::devices::passthrough
