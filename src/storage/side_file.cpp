#include "storage/side_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace touka::storage {

namespace {

std::unexpected<OpenFailure> failure(const std::string& path, const char* what, int error) {
    const OpenError kind = error == EACCES || error == EPERM ? OpenError::kNoPermission : OpenError::kFailed;
    return std::unexpected(OpenFailure{kind, fmt::format("{}: {}: {}", path, what, std::strerror(error))});
}

/// Makes the file's name in its folder survive a loss of power.
bool sync_folder(const std::string& path) {
    const auto folder = std::filesystem::path(path).parent_path();
    const runtime::UniqueFd fd(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return fd && ::fsync(fd.get()) == 0;
}

} // namespace

std::expected<std::unique_ptr<RawFile>, OpenFailure> open_side_file(const std::string& path, std::uint64_t size_bytes,
                                                                    SideFileSpace space) {
    {
        constexpr mode_t kOwnerOnly = 0600;
        const runtime::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kOwnerOnly));
        struct stat status{};
        if (!fd || ::fstat(fd.get(), &status) != 0) return failure(path, "cannot be opened", errno);
        if (!S_ISREG(status.st_mode)) return failure(path, "is no regular file", EINVAL);
        if (static_cast<std::uint64_t>(status.st_size) < size_bytes) {
            const auto size = static_cast<off_t>(size_bytes);
            const bool reserves = space == SideFileSpace::kReserved;
            const int error =
                reserves ? ::posix_fallocate(fd.get(), 0, size) : (::ftruncate(fd.get(), size) == 0 ? 0 : errno);
            if (error != 0) return failure(path, "cannot be made as large as needed", error);
            if (::fsync(fd.get()) != 0 || !sync_folder(path)) return failure(path, "cannot be made stable", errno);
        }
    }
    return RawFile::open(path, {});
}

} // namespace touka::storage
