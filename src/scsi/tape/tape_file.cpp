#include "scsi/tape/tape_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace touka::scsi {

namespace {

TapeFileError error_of(int error) {
    return error == ENOSPC || error == EDQUOT || error == EFBIG ? TapeFileError::kNoSpace : TapeFileError::kIoError;
}

std::unexpected<std::string> failure(const std::string& path, const char* what, int error) {
    return std::unexpected(fmt::format("{}: {}: {}", path, what, std::strerror(error)));
}

/// Drops `done` bytes from the front.
std::span<iovec> behind(std::span<iovec> vectors, std::uint64_t done) {
    while (!vectors.empty() && done >= vectors.front().iov_len) {
        done -= vectors.front().iov_len;
        vectors = vectors.subspan(1);
    }
    if (done > 0) {
        vectors.front().iov_base = static_cast<std::uint8_t*>(vectors.front().iov_base) + done;
        vectors.front().iov_len -= done;
    }
    return vectors;
}

/// Calls `transfer(vectors, count, offset)` until everything is moved or it returns 0.
template <class Transfer>
std::expected<std::uint64_t, TapeFileError> transfer_all(std::uint64_t offset_bytes, std::span<iovec> vectors,
                                                         Transfer transfer) {
    std::uint64_t total = 0;
    vectors = behind(vectors, 0);
    while (!vectors.empty()) {
        const auto count = static_cast<int>(std::min<std::size_t>(vectors.size(), IOV_MAX));
        const ssize_t moved = transfer(vectors.data(), count, static_cast<off_t>(offset_bytes + total));
        if (moved < 0 && errno == EINTR) continue;
        if (moved < 0) return std::unexpected(error_of(errno));
        if (moved == 0) break;
        total += static_cast<std::uint64_t>(moved);
        vectors = behind(vectors, static_cast<std::uint64_t>(moved));
    }
    return total;
}

} // namespace

std::expected<std::unique_ptr<TapeFile>, std::string> HostTapeFile::open(const std::string& path, bool read_only) {
    const int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (read_only ? O_RDONLY : O_RDWR | O_CREAT);
    runtime::UniqueFd fd(::open(path.c_str(), flags, 0644));
    if (!fd) return failure(path, "the tape image cannot be opened", errno);
    struct stat status{};
    if (::fstat(fd.get(), &status) != 0) return failure(path, "the tape image cannot be looked at", errno);
    if (!S_ISREG(status.st_mode)) return std::unexpected(path + ": is not a regular file, so that it is no tape image");
    if (::flock(fd.get(), (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) return std::unexpected(path + ": the tape image is in use already");
        if (errno != EOPNOTSUPP && errno != ENOLCK) return failure(path, "the tape image cannot be locked", errno);
    }
    // Perhaps just made; an empty file whose name is lost later would be a lost tape.
    if (!read_only && status.st_size == 0) {
        if (const int error = synchronize_folder_of(path))
            return failure(path, "the new tape image may be lost", error);
    }
    return std::unique_ptr<TapeFile>(new HostTapeFile(path, std::move(fd), read_only));
}

std::expected<std::uint64_t, TapeFileError> HostTapeFile::size_bytes() {
    struct stat status{};
    if (::fstat(fd_.get(), &status) != 0) return std::unexpected(error_of(errno));
    return static_cast<std::uint64_t>(status.st_size);
}

std::expected<std::uint64_t, TapeFileError> HostTapeFile::read(std::uint64_t offset_bytes, std::span<const iovec> to) {
    std::vector<iovec> vectors(to.begin(), to.end());
    return transfer_all(offset_bytes, vectors, [this](const iovec* data, int count, off_t offset) {
        return ::preadv(fd_.get(), data, count, offset);
    });
}

std::expected<void, TapeFileError> HostTapeFile::write(std::uint64_t offset_bytes, std::span<iovec> from) {
    std::uint64_t wanted = 0;
    for (const iovec& vector : from) wanted += vector.iov_len;
    const auto written = transfer_all(offset_bytes, from, [this](const iovec* data, int count, off_t offset) {
        return ::pwritev(fd_.get(), data, count, offset);
    });
    if (!written) return std::unexpected(written.error());
    if (*written != wanted) return std::unexpected(TapeFileError::kIoError);
    return {};
}

std::expected<void, TapeFileError> HostTapeFile::truncate(std::uint64_t size_bytes) {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size_bytes)) != 0) return std::unexpected(error_of(errno));
    return {};
}

std::expected<void, TapeFileError> HostTapeFile::synchronize() {
    // After an error the kernel forgets what it could not write: a second attempt would lie, see TapeImage.
    if (::fdatasync(fd_.get()) != 0) return std::unexpected(error_of(errno));
    return {};
}

int synchronize_folder_of(const std::string& path) {
    const std::filesystem::path folder = std::filesystem::path(path).parent_path();
    const runtime::UniqueFd fd(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || ::fsync(fd.get()) != 0) return errno;
    return 0;
}

} // namespace touka::scsi
