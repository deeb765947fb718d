#include "runtime/foreign_eventfd.hpp"

#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace touka::runtime {

bool ForeignEventfd::is_one(int fd) {
    std::array<char, 64> target{};
    const ssize_t length = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target.data(), target.size());
    return length > 0 && std::string_view(target.data(), static_cast<std::size_t>(length)) == "anon_inode:[eventfd]";
}

std::optional<ForeignEventfd> ForeignEventfd::take(UniqueFd fd) {
    if (!is_one(fd.get())) return std::nullopt;
    return ForeignEventfd(std::move(fd));
}

// O_NONBLOCK is the open file's, that is the other process's too: one that reads with waiting would fail if it were set
// here, and one that means harm would take it off again. So each access says for itself that it does not wait.

void ForeignEventfd::signal() const {
    if (!fd_) return;
    pollfd room{fd_.get(), POLLOUT, 0};
    if (::poll(&room, 1, 0) != 1 || (room.revents & POLLOUT) == 0) return; // a full counter is raised already
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(fd_.get(), &one, sizeof one);
}

bool ForeignEventfd::consume() const {
    std::uint64_t count = 0;
    const iovec place{&count, sizeof count};
    return ::preadv2(fd_.get(), &place, 1, -1, RWF_NOWAIT) == sizeof count;
}

} // namespace touka::runtime
