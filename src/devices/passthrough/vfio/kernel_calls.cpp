#include "devices/passthrough/vfio/kernel_calls.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace touka::devices::vfio {

runtime::UniqueFd KernelCalls::open(const std::string& path) {
    return runtime::UniqueFd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
}

bool KernelCalls::may_open(const std::string& path) { return ::access(path.c_str(), R_OK | W_OK) == 0; }

int KernelCalls::ioctl(int file, unsigned long request, void* argument) { return ::ioctl(file, request, argument); }

KernelCalls& host_kernel() {
    static KernelCalls kernel;
    return kernel;
}

std::string opening_failed(const std::string& path, const std::string& absence) {
    switch (errno) {
        case ENOENT: return fmt::format("{}: not there; {}", path, absence);
        case EACCES:
        case EPERM: return fmt::format("{}: no permission; run as root, or give the file to this user", path);
        case EBUSY: return fmt::format("{}: another program has it", path);
        default: return fmt::format("{}: {}", path, std::strerror(errno));
    }
}

} // namespace touka::devices::vfio
