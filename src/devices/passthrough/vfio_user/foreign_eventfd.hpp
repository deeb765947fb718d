#pragma once

#include <optional>
#include <utility>

#include "runtime/unique_fd.hpp"

namespace touka::devices::passthrough {

/// An eventfd that the other process gave: it can be signalled and taken back without waiting, whatever its open file's
/// flags are; they stay as they are. Any thread.
class ForeignEventfd {
public:
    ForeignEventfd() = default;
    /// @return nothing when it is something else, whose writing could wait or do harm.
    [[nodiscard]] static std::optional<ForeignEventfd> take(runtime::UniqueFd fd);
    [[nodiscard]] static bool is_one(int fd);

    [[nodiscard]] explicit operator bool() const { return static_cast<bool>(fd_); }
    [[nodiscard]] int fd() const { return fd_.get(); }
    void signal() const;
    /// Takes the count back to zero. @return whether it was raised.
    bool consume() const;

private:
    explicit ForeignEventfd(runtime::UniqueFd fd) : fd_(std::move(fd)) {}
    runtime::UniqueFd fd_;
};

} // namespace touka::devices::passthrough
