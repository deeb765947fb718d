#include "runtime/stdio_stream.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

namespace touka::runtime {

namespace {

/// Regular files and /dev/null are always ready and refuse epoll.
bool is_pollable(int fd) {
    const UniqueFd probe(::epoll_create1(EPOLL_CLOEXEC));
    epoll_event event{.events = 0, .data = {.u64 = 0}};
    return ::epoll_ctl(probe.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

/// A terminal in whose background the process runs belongs to somebody else.
bool may_read(int fd) { return ::fcntl(fd, F_GETFD) >= 0 && (::isatty(fd) == 0 || in_foreground_of(fd)); }

} // namespace

StdioStream::StdioStream(Reactor& reactor, Options options)
    : reactor_(reactor), options_(std::move(options)), terminal_(options_.input_fd), output_(options_.output_fd),
      input_pollable_(is_pollable(options_.input_fd)), input_open_(may_read(options_.input_fd)) {
    input_.reserve(kKeptKeysBytes);
    reactor_.run_and_wait([this] {
        sigset_t broken_pipe; // arrives at the thread that writes; the error is enough
        ::sigemptyset(&broken_pipe);
        ::sigaddset(&broken_pipe, SIGPIPE);
        ::pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
        wake_watch_ = reactor_.watch(wake_.fd(), EPOLLIN, [this](std::uint32_t) { on_wake(); });
    });
}

StdioStream::~StdioStream() {
    reactor_.run_and_wait([this] {
        drain();
        wake_watch_.reset();
        input_watch_.reset();
        output_watch_.reset();
    });
}

void StdioStream::write(std::span<const std::byte> bytes) {
    bool wake = false;
    {
        auto outgoing = outgoing_.lock();
        const std::size_t room = options_.backlog_bytes - std::min(options_.backlog_bytes, outgoing->bytes.size());
        const std::size_t taken = std::min(room, bytes.size());
        outgoing->bytes.insert(outgoing->bytes.end(), bytes.begin(),
                               bytes.begin() + static_cast<std::ptrdiff_t>(taken));
        outgoing->dropped_bytes += bytes.size() - taken;
        wake = !std::exchange(outgoing->wake_pending, true);
    }
    if (wake) wake_.signal();
}

void StdioStream::set_receiver(std::function<std::size_t(std::span<const std::byte>)> on_input) {
    reactor_.run_and_wait([&] {
        on_input_ = std::move(on_input);
        listen();
        offer_input();
    });
}

void StdioStream::resume_input() { wake_.signal(); }

std::uint64_t StdioStream::dropped_bytes() { return outgoing_.lock()->dropped_bytes; }

void StdioStream::on_wake() {
    wake_.consume();
    if (!output_watch_) flush(); // else the output is known to be blocked
    if (!input_pollable_ && input_open_ && on_input_ && input_.empty()) {
        on_input_ready();
    } else {
        offer_input();
    }
}

void StdioStream::flush() {
    while (true) {
        if (sent_bytes_ == sending_.size() || output_gone_) {
            sending_.clear();
            sent_bytes_ = 0;
            auto outgoing = outgoing_.lock();
            outgoing->wake_pending = false;
            std::swap(sending_, outgoing->bytes);
        }
        if (sending_.empty()) break;
        if (output_gone_) continue;
        const auto written = output_.write(std::span(sending_).subspan(sent_bytes_));
        sent_bytes_ += written.count_bytes;
        output_gone_ = written.result == NonblockingOutput::Result::kGone;
        if (written.result == NonblockingOutput::Result::kBlocked) {
            if (output_watch_) return;
            output_watch_ = reactor_.watch(output_.fd(), EPOLLOUT, [this](std::uint32_t) { flush(); });
            return;
        }
    }
    output_watch_.reset();
}

void StdioStream::drain() {
    const std::uint64_t deadline_ns = reactor_.now_ns() + std::uint64_t{options_.drain_ms} * 1'000'000;
    flush();
    while (output_watch_ && reactor_.now_ns() < deadline_ns) {
        pollfd room{.fd = output_.fd(), .events = POLLOUT, .revents = 0};
        ::poll(&room, 1, static_cast<int>(std::min(options_.drain_ms, 100u)));
        flush();
    }
}

void StdioStream::listen() {
    if (!input_open_ || !on_input_) return;
    if (!input_pollable_) {
        wake_.signal(); // always ready: goes round by way of the reactor, to leave time for others
    } else if (!input_watch_) {
        input_watch_ = reactor_.watch(options_.input_fd, EPOLLIN, [this](std::uint32_t) { on_input_ready(); });
    }
}

void StdioStream::on_input_ready() {
    std::array<std::byte, kKeptKeysBytes> buffer;
    const ssize_t count = ::read(options_.input_fd, buffer.data(), buffer.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (count <= 0) {
        input_open_ = false;
        input_watch_.reset();
        return;
    }
    take_keys(std::span(buffer).first(static_cast<std::size_t>(count)));
    offer_input();
}

void StdioStream::take_keys(std::span<const std::byte> bytes) {
    for (const std::byte key : bytes) {
        if (interactive() && key == options_.escape_key) {
            if (options_.on_escape) options_.on_escape();
        } else if (input_.size() < kKeptKeysBytes) {
            input_.push_back(key);
        }
    }
}

void StdioStream::offer_input() {
    if (!on_input_) return;
    if (!input_.empty()) {
        const std::size_t taken = std::min(on_input_(input_), input_.size());
        input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(taken));
    }
    if (interactive()) return; // always listening
    if (input_.empty()) {
        listen();
    } else {
        input_watch_.reset();
    }
}

} // namespace touka::runtime
