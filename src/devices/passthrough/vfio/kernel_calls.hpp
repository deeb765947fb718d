#pragma once

#include <string>

#include "runtime/unique_fd.hpp"

namespace touka::devices::vfio {

/// What of the kernel is called for the memory that functions reach; tests have a kernel of their own. Any thread.
class KernelCalls {
public:
    KernelCalls() = default;
    virtual ~KernelCalls() = default;
    KernelCalls(const KernelCalls&) = delete;
    KernelCalls& operator=(const KernelCalls&) = delete;
    /// For reading and writing.  @return an empty one, and errno.
    [[nodiscard]] virtual runtime::UniqueFd open(const std::string& path);
    /// Whether open() could be.
    [[nodiscard]] virtual bool may_open(const std::string& path);
    /// @param argument a structure of the request's, or a number.  @return -1, and errno.
    [[nodiscard]] virtual int ioctl(int file, unsigned long request, void* argument);
};

/// The host's.
[[nodiscard]] KernelCalls& host_kernel();

/// What to say of an open() that failed, by errno.  @param absence what it means that the file is not there.
[[nodiscard]] std::string opening_failed(const std::string& path, const std::string& absence);

} // namespace touka::devices::vfio
