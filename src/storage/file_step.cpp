#include "storage/file_step.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace touka::storage {

namespace {

std::int64_t call(int fd, const FileStep& step) {
    const auto offset = static_cast<off_t>(step.offset_bytes);
    const auto count = static_cast<int>(step.vector_count);
    switch (step.kind) {
        case FileStep::Kind::kRead: return ::preadv2(fd, step.vectors, count, offset, 0);
        case FileStep::Kind::kWrite:
            return ::pwritev2(fd, step.vectors, count, offset, step.synchronous ? RWF_DSYNC : 0);
        case FileStep::Kind::kSync: return ::fdatasync(fd);
        case FileStep::Kind::kAllocate:
            return ::fallocate(fd, step.mode, offset, static_cast<off_t>(step.length_bytes));
        case FileStep::Kind::kDiscard: {
            std::array<std::uint64_t, 2> range{step.offset_bytes, step.length_bytes};
            return ::ioctl(fd, BLKDISCARD, range.data());
        }
    }
    return -1;
}

} // namespace

std::int64_t perform(int fd, const FileStep& step) {
    const std::int64_t result = call(fd, step);
    return result < 0 ? -errno : result;
}

} // namespace touka::storage
