#include "platform/boot/image.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "spec/address.hpp"

namespace touka::platform::boot {
namespace {

/// Memory that nobody used yet would cost a fault for each page, which takes longer than reading it.
void back_at_once(std::span<std::byte> to) {
    const auto start = reinterpret_cast<std::uintptr_t>(to.data());
    const std::uintptr_t first = (start + spec::kPageSize - 1) & ~(spec::kPageSize - 1);
    const std::uintptr_t end = (start + to.size()) & ~(spec::kPageSize - 1);
    if (first < end) ::madvise(to.data() + (first - start), end - first, MADV_POPULATE_WRITE); // a hint
}

} // namespace

std::expected<FileImage, BootError> FileImage::open(const std::string& path) {
    const auto failure = [&](BootErrorKind kind, int host_errno = 0) {
        return std::unexpected(BootError{.kind = kind, .file = path, .host_errno = host_errno});
    };
    // Without O_NONBLOCK a FIFO would keep us waiting for its writer.
    runtime::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd) {
        if (errno == ENOENT || errno == ENOTDIR) return failure(BootErrorKind::kNoSuchFile);
        return failure(BootErrorKind::kUnreadable, errno);
    }
    struct stat status{};
    if (::fstat(fd.get(), &status) != 0) return failure(BootErrorKind::kUnreadable, errno);
    if (!S_ISREG(status.st_mode)) return failure(BootErrorKind::kNotRegularFile);
    if (status.st_size == 0) return failure(BootErrorKind::kEmptyFile);
    return FileImage(path, std::move(fd), static_cast<std::uint64_t>(status.st_size));
}

bool FileImage::read(std::uint64_t offset, std::span<std::byte> to) const {
    if (offset > size_bytes_ || to.size() > size_bytes_ - offset) return false;
    back_at_once(to);
    while (!to.empty()) {
        const ssize_t count = ::pread(fd_.get(), to.data(), to.size(), static_cast<off_t>(offset));
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false; // an I/O error, or somebody shortened the file meanwhile
        to = to.subspan(static_cast<std::size_t>(count));
        offset += static_cast<std::uint64_t>(count);
    }
    return true;
}

bool MemoryImage::read(std::uint64_t offset, std::span<std::byte> to) const {
    if (offset > bytes_.size() || to.size() > bytes_.size() - offset) return false;
    if (!to.empty()) std::memcpy(to.data(), bytes_.data() + offset, to.size());
    return true;
}

} // namespace touka::platform::boot
