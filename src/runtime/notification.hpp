#pragma once

#include "runtime/unique_fd.hpp"

namespace touka::runtime {

/// An eventfd: a counter that another thread, process or the kernel raises and a reactor watches.
class Notification {
public:
    /// Aborts the program when the process has no descriptors left, which no caller can work without.
    Notification();
    [[nodiscard]] int fd() const { return fd_.get(); }
    void signal() const;
    /// Takes the count back to zero. @return whether it was raised.
    bool consume() const;

private:
    UniqueFd fd_;
};

} // namespace touka::runtime
