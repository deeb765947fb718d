#include "devices/passthrough/vfio_user/foreign_eventfd.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace touka::devices::passthrough {

bool ForeignEventfd::is_one(int fd) {
    std::array<char, 64> target{};
    const ssize_t length = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target.data(), target.size());
    return length > 0 && std::string_view(target.data(), static_cast<std::size_t>(length)) == "anon_inode:[eventfd]";
}

std::optional<ForeignEventfd> ForeignEventfd::take(runtime::UniqueFd fd) {
    if (!is_one(fd.get())) return std::nullopt;
    // A counter that is full must not stop who signals.
    ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
    return ForeignEventfd(std::move(fd));
}

void ForeignEventfd::signal() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(fd_.get(), &one, sizeof one); // a full counter is raised already
}

bool ForeignEventfd::consume() const {
    std::uint64_t count = 0;
    return ::read(fd_.get(), &count, sizeof count) == sizeof count;
}

} // namespace touka::devices::passthrough
