#include "shutdown_signals.hpp"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <utility>

namespace touka::cli {
namespace {

using Clock = std::chrono::steady_clock;

sigset_t shutdown_set() {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&set, number);
    return set;
}

int milliseconds_until(const std::optional<Clock::time_point>& deadline) {
    if (!deadline) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000)); // looked at again after a minute
}

} // namespace

ShutdownSignals::ShutdownSignals() {
    const sigset_t set = shutdown_set();
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    signals_ = runtime::UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    wake_up_ = runtime::UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!signals_ || !wake_up_) std::abort(); // the very first descriptors of the process
}

ShutdownSignals::~ShutdownSignals() {
    forget();
    const sigset_t set = shutdown_set();
    ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void ShutdownSignals::watch(Actions actions, std::chrono::milliseconds grace) {
    forget();
    thread_ = std::thread([this, actions = std::move(actions), grace] { serve(actions, grace); });
}

void ShutdownSignals::forget() {
    if (!thread_.joinable()) return;
    ::eventfd_write(wake_up_.get(), 1);
    thread_.join();
    eventfd_t count = 0;
    ::eventfd_read(wake_up_.get(), &count);
}

void ShutdownSignals::serve(const Actions& actions, std::chrono::milliseconds grace) const {
    std::optional<Clock::time_point> deadline; // set once the button was pressed
    for (bool pulled = false;;) {
        std::array<pollfd, 2> fds{{{signals_.get(), POLLIN, 0}, {wake_up_.get(), POLLIN, 0}}};
        ::poll(fds.data(), fds.size(), pulled ? -1 : milliseconds_until(deadline));
        if ((fds[1].revents & POLLIN) != 0) return;
        signalfd_siginfo info{};
        const bool signalled = ::read(signals_.get(), &info, sizeof info) == sizeof info;
        if (pulled) continue;
        if (signalled && !deadline && grace.count() > 0) {
            deadline = Clock::now() + grace;
            actions.press_power_button();
        } else if (signalled || (deadline && Clock::now() >= *deadline)) {
            pulled = true;
            actions.pull_plug();
        }
    }
}

} // namespace touka::cli
