#pragma once

#include <optional>
#include <utility>

#include "runtime/unique_fd.hpp"

namespace touka::runtime {

/// An eventfd that the other process gave: it can be signalled and taken back without waiting, whatever its open file's
/// flags are; they stay as they are. Any thread.
class ForeignEventfd {
public:
    ForeignEventfd() = default;
    /// @return nothing when it is something else, whose writing could wait or do harm.
    [[nodiscard]] static std::optional<ForeignEventfd> take(UniqueFd fd);
    [[nodiscard]] static bool is_one(int fd);

    [[nodiscard]] explicit operator bool() const { return static_cast<bool>(fd_); }
    [[nodiscard]] int fd() const { return fd_.get(); }
    void signal() const; ///< nothing, when there is none
    /// Takes the count back to zero. @return whether it was raised.
    bool consume() const;

private:
    explicit ForeignEventfd(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

} // namespace touka::runtime
