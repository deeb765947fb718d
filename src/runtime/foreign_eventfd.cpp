#include "runtime/foreign_eventfd.hpp"

#include <unistd.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/stuck_writers.hpp"

namespace touka::runtime {

bool ForeignEventfd::is_one(int fd) {
    std::array<char, 64> target{};
    const ssize_t length = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target.data(), target.size());
    return length > 0 && std::string_view(target.data(), static_cast<std::size_t>(length)) == "anon_inode:[eventfd]";
}

std::optional<ForeignEventfd> ForeignEventfd::take(UniqueFd fd) {
    if (!is_one(fd.get())) return std::nullopt;
    ForeignEventfd taken;
    taken.file_ = std::make_unique<File>(std::move(fd));
    return taken;
}

// O_NONBLOCK is the open file's, that is the other process's too: one that reads with waiting would fail if it were set
// here, and one that means harm would take it off again. So reads say for themselves that they do not wait, and writes,
// which cannot, are looked after. (Asking poll() first costs a seventh of a read at depth 1, and can be deceived.)

void ForeignEventfd::signal() const {
    if (!file_ || file_->made_us_wait.load(std::memory_order_relaxed)) return;
    if (!raise_foreign(file_->fd.get())) file_->made_us_wait.store(true, std::memory_order_relaxed);
}

bool ForeignEventfd::consume() const { return take_back_foreign(fd()); }

} // namespace touka::runtime
