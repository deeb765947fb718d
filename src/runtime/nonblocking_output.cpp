#include "runtime/nonblocking_output.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace touka::runtime {

NonblockingOutput::Kind NonblockingOutput::kind_of(int fd) {
    struct stat status{};
    if (::fstat(fd, &status) != 0) return Kind::kNone;
    if (S_ISSOCK(status.st_mode)) return Kind::kSocket;
    if (S_ISFIFO(status.st_mode) || ::isatty(fd) != 0) return Kind::kReopened;
    return Kind::kFile;
}

NonblockingOutput::NonblockingOutput(int fd) : fd_(fd), kind_(kind_of(fd)) {
    if (kind_ != Kind::kReopened) return;
    own_ = UniqueFd(::open(fmt::format("/proc/self/fd/{}", fd).c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!own_) kind_ = Kind::kPolled;
}

NonblockingOutput::Written NonblockingOutput::write(std::span<const std::byte> bytes) const {
    ssize_t count = -1;
    do {
        switch (kind_) {
            case Kind::kNone: return {Result::kGone, 0};
            case Kind::kSocket: count = ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL); break;
            case Kind::kReopened: count = ::write(own_.get(), bytes.data(), bytes.size()); break;
            case Kind::kFile: count = ::write(fd_, bytes.data(), bytes.size()); break;
            case Kind::kPolled: {
                pollfd room{.fd = fd_, .events = POLLOUT, .revents = 0};
                if (::poll(&room, 1, 0) == 0) return {Result::kBlocked, 0};
                count = ::write(fd_, bytes.data(), 1); // room for one byte is all that POLLOUT promises
                break;
            }
        }
    } while (count < 0 && errno == EINTR);
    if (count >= 0) return {Result::kProgress, static_cast<std::size_t>(count)};
    return {errno == EAGAIN || errno == EWOULDBLOCK ? Result::kBlocked : Result::kGone, 0};
}

} // namespace touka::runtime
