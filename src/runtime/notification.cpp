#include "runtime/notification.hpp"

#include <sys/eventfd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace touka::runtime {

Notification::Notification() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (fd_) return;
    std::perror("touka: eventfd");
    std::abort();
}

void Notification::signal() const {
    const std::uint64_t one = 1;
    // Fails only when the counter is full, and then it is raised already.
    [[maybe_unused]] const auto written = ::write(fd_.get(), &one, sizeof one);
}

bool Notification::consume() const {
    std::uint64_t count = 0;
    return ::read(fd_.get(), &count, sizeof count) == sizeof count;
}

} // namespace touka::runtime
