#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "runtime/unique_fd.hpp"

namespace touka::runtime {

/// An eventfd that the other process gave: it can be signalled and taken back, whatever its open file's flags are; they
/// stay as they are. One that makes a signal wait is not signalled again. Any thread.
class ForeignEventfd {
public:
    ForeignEventfd() = default;
    /// @return nothing when it is something else, whose writing could wait or do harm.
    [[nodiscard]] static std::optional<ForeignEventfd> take(UniqueFd fd);
    [[nodiscard]] static bool is_one(int fd);

    [[nodiscard]] explicit operator bool() const { return file_ != nullptr; }
    [[nodiscard]] int fd() const { return file_ ? file_->fd.get() : -1; }
    void signal() const; ///< nothing, when there is none. Bounded as raise_foreign() is.
    /// Takes the count back to zero. @return whether it was raised.
    bool consume() const;

private:
    struct File {
        UniqueFd fd;
        std::atomic<bool> made_us_wait{false};
    };
    std::unique_ptr<File> file_;
};

} // namespace touka::runtime
