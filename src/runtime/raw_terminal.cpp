#include "runtime/raw_terminal.hpp"

#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>

namespace touka::runtime {

namespace {

// Global because exit() and signal handlers have no object. The descriptor's release pairs with the exchange
// in restore(): whoever takes it sees the settings.
std::atomic<int> raw_fd = -1;
termios found_settings{};

void apply(int fd, const termios& settings) {
    // A process that meanwhile went into the background would be stopped for this by SIGTTOU.
    sigset_t stop_signal, before;
    ::sigemptyset(&stop_signal);
    ::sigaddset(&stop_signal, SIGTTOU);
    ::pthread_sigmask(SIG_BLOCK, &stop_signal, &before);
    ::tcsetattr(fd, TCSANOW, &settings); // waiting for output to drain could be for ever
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

} // namespace

bool in_foreground_of(int fd) {
    if (::isatty(fd) == 0) return false;
    const pid_t foreground = ::tcgetpgrp(fd);
    return foreground < 0 || foreground == ::getpgrp(); // below 0: not the controlling terminal, so no job control
}

RawTerminal::RawTerminal(int fd) {
    termios settings{};
    if (!in_foreground_of(fd) || ::tcgetattr(fd, &settings) != 0) return;
    if (raw_fd.load() >= 0) return;
    found_settings = settings;
    static const int registered = std::atexit([] { restore(); });
    static_cast<void>(registered);
    raw_fd.store(fd, std::memory_order_release);

    const tcflag_t output_flags = settings.c_oflag;
    ::cfmakeraw(&settings);
    settings.c_oflag = output_flags;
    apply(fd, settings);
    active_ = true;
}

void RawTerminal::restore() noexcept {
    const int fd = raw_fd.exchange(-1, std::memory_order_acquire);
    if (fd >= 0) apply(fd, found_settings);
}

} // namespace touka::runtime
