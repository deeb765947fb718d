#include "storage/open_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace touka::storage {

namespace {

constexpr std::uint32_t kSectorBytes = 512;
constexpr std::uint32_t kPageBytes = 4096;

using Outcome = std::expected<void, OpenFailure>;

std::unexpected<OpenFailure> failure(OpenError error, std::string text) {
    return std::unexpected(OpenFailure{error, std::move(text)});
}

std::unexpected<OpenFailure> failure_of_open(const std::string& path, const OpenOptions& options, int error) {
    const char* reason = std::strerror(error);
    switch (error) {
        case ENOENT:
        case ENOTDIR:
            return failure(
                OpenError::kNotFound,
                fmt::format("{}: there is no such file; make an empty disk with: truncate -s 8G {}", path, path));
        case EACCES:
        case EPERM:
            return failure(OpenError::kNoPermission,
                           fmt::format("{}: no permission to {} it; change its owner or mode, or run as a user who may",
                                       path, options.read_only ? "read" : "read and write"));
        case EROFS:
            return failure(OpenError::kReadOnly,
                           fmt::format("{}: it is on a read-only file system; open the disk read-only", path));
        case EBUSY:
            return failure(
                OpenError::kInUse,
                fmt::format("{}: the host uses this device (mounted, or part of a volume); unmount it first", path));
        case EINVAL:
            if (!options.direct) break;
            return failure(OpenError::kNoDirectIo,
                           fmt::format("{}: its file system has no direct I/O; leave out the direct option", path));
        default: break;
    }
    return failure(OpenError::kFailed, fmt::format("{}: cannot be opened: {}", path, reason));
}

Outcome check_type(const std::string& path, const struct stat& status) {
    if (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode)) return {};
    const char* type = S_ISDIR(status.st_mode)   ? "a directory"
                       : S_ISCHR(status.st_mode) ? "a character device"
                                                 : "a pipe or socket";
    return failure(OpenError::kNotADisk, fmt::format("{}: is {}; a disk is a file or a block device", path, type));
}

Outcome lock(const std::string& path, const OpenFile& file, bool read_only) {
    struct flock range{};
    range.l_type = read_only ? F_RDLCK : F_WRLCK;
    range.l_whence = SEEK_SET;
    if (::fcntl(file.fd.get(), F_OFD_SETLK, &range) == 0) return {};
    if (errno == EAGAIN || errno == EACCES) {
        return failure(OpenError::kInUse,
                       fmt::format("{}: another program has it open as a disk; stop that one, or open it "
                                   "read-only in both",
                                   path));
    }
    return failure(OpenError::kFailed, fmt::format("{}: cannot be locked ({}); its file system may have no locks", path,
                                                   std::strerror(errno)));
}

std::uint32_t queue_attribute(dev_t device, const char* name) {
    const std::string base = fmt::format("/sys/dev/block/{}:{}/", major(device), minor(device));
    for (const char* place : {"queue/", "../queue/"}) { // a partition has its disk's
        std::ifstream attribute(base + place + name);
        std::uint64_t value = 0;
        if (attribute >> value) return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, UINT32_MAX));
    }
    return 0;
}

Outcome measure_block_device(const std::string& path, OpenFile& file, dev_t device) {
    int read_only = 0, logical = 0;
    unsigned physical = 0;
    const int fd = file.fd.get();
    if (::ioctl(fd, BLKGETSIZE64, &file.geometry.size_bytes) != 0 || ::ioctl(fd, BLKSSZGET, &logical) != 0 ||
        ::ioctl(fd, BLKPBSZGET, &physical) != 0 || ::ioctl(fd, BLKROGET, &read_only) != 0) {
        return failure(OpenError::kFailed, fmt::format("{}: cannot be measured: {}", path, std::strerror(errno)));
    }
    if (read_only != 0 && !file.geometry.read_only) {
        return failure(OpenError::kReadOnly, fmt::format("{}: the device is read-only; open the disk read-only", path));
    }
    file.geometry.logical_block_bytes = static_cast<std::uint32_t>(logical);
    file.geometry.physical_block_bytes = physical;
    if (queue_attribute(device, "discard_max_bytes") > 0) {
        file.geometry.discard_granularity_bytes =
            std::max(queue_attribute(device, "discard_granularity"), file.geometry.logical_block_bytes);
    }
    return {};
}

void measure_regular_file(OpenFile& file, const struct stat& status) {
    file.geometry.size_bytes = static_cast<std::uint64_t>(status.st_size);
    // Network and copy-on-write file systems name a good transfer size here, not a block's.
    const auto preferred = static_cast<std::uint32_t>(status.st_blksize);
    file.geometry.physical_block_bytes = std::bit_floor(std::clamp(preferred, kSectorBytes, kPageBytes));
    if (file.geometry.read_only) return;
    // Behind the end nothing is changed, but a file system without holes refuses.
    const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    if (::fallocate(file.fd.get(), mode, status.st_size, kPageBytes) == 0) {
        file.geometry.discard_granularity_bytes = file.geometry.physical_block_bytes;
    } else {
        file.can_punch_hole = false;
    }
}

void align_for_direct_io(OpenFile& file) {
    struct statx status{};
    file.cached = false;
    file.memory_alignment = file.block_device ? file.geometry.logical_block_bytes : kPageBytes;
    file.length_alignment = file.geometry.logical_block_bytes;
    if (::statx(file.fd.get(), "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) == 0 &&
        (status.stx_mask & STATX_DIOALIGN) != 0 && status.stx_dio_offset_align != 0) {
        file.memory_alignment = status.stx_dio_mem_align;
        file.length_alignment = std::max(status.stx_dio_offset_align, kSectorBytes);
    }
    // A sector smaller than what the host can transfer would need a read before each write.
    file.geometry.logical_block_bytes = std::max(file.geometry.logical_block_bytes, file.length_alignment);
    file.geometry.physical_block_bytes =
        std::max(file.geometry.physical_block_bytes, file.geometry.logical_block_bytes);
}

Outcome check_size(const std::string& path, const BlockGeometry& geometry) {
    if (geometry.size_bytes == 0) {
        return failure(OpenError::kEmpty,
                       fmt::format("{}: is empty; give it a size with: truncate -s 8G {}", path, path));
    }
    if (geometry.size_bytes % geometry.logical_block_bytes == 0) return {};
    return failure(OpenError::kNotWholeSectors,
                   fmt::format("{}: its size of {} bytes is not a multiple of the {}-byte sector; is it a raw disk "
                               "image? (other formats: qemu-img convert -O raw; rounding up: truncate -s %{} {})",
                               path, geometry.size_bytes, geometry.logical_block_bytes, geometry.logical_block_bytes,
                               path));
}

} // namespace

std::expected<OpenFile, OpenFailure> open_file(const std::string& path, const OpenOptions& options) {
    struct stat status{};
    // Before opening: to open a pipe would wait for its other end, and a tape would rewind.
    if (::stat(path.c_str(), &status) != 0) return failure_of_open(path, options, errno);
    if (auto good = check_type(path, status); !good) return std::unexpected(good.error());

    OpenFile file;
    file.block_device = S_ISBLK(status.st_mode);
    file.geometry.read_only = options.read_only;
    const int flags = O_CLOEXEC | (options.read_only ? O_RDONLY : O_RDWR) | (options.direct ? O_DIRECT : 0) |
                      (file.block_device && !options.read_only ? O_EXCL : 0);
    // That a disk was read is nothing to keep, and keeping it takes time with each read; only a file's owner may ask.
    file.fd = runtime::UniqueFd(::open(path.c_str(), flags | O_NOATIME));
    if (!file.fd && errno == EPERM) file.fd = runtime::UniqueFd(::open(path.c_str(), flags));
    if (!file.fd) return failure_of_open(path, options, errno);
    if (::fstat(file.fd.get(), &status) != 0) return failure_of_open(path, options, errno);
    if (options.lock) {
        if (auto locked = lock(path, file, options.read_only); !locked) return std::unexpected(locked.error());
    }
    if (file.block_device) {
        auto measured = measure_block_device(path, file, status.st_rdev);
        if (!measured) return std::unexpected(measured.error());
    } else {
        measure_regular_file(file, status);
    }
    struct statfs file_system{};
    const bool nameless = ::fstatfs(file.fd.get(), &file_system) != 0; // a simple one in user space answers ENOSYS
    file.submission_waits = !file.block_device && (nameless || file_system.f_type == FUSE_SUPER_MAGIC);
    if (options.direct) align_for_direct_io(file);
    if (auto good = check_size(path, file.geometry); !good) return std::unexpected(good.error());
    return file;
}

} // namespace touka::storage
