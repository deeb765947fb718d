#include "scsi/reservation/reservation_store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "runtime/unique_fd.hpp"
#include "scsi/reservation/reservation_text.hpp"

namespace touka::scsi {

namespace {

/// 1024 registrations with the longest names are a quarter of it.
constexpr std::size_t kFileBytesLimit = std::size_t{4} << 20;

/// @return the step that failed; errno says why.
const char* write_durably(const std::string& path, std::string_view text) {
    const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW;
    const runtime::UniqueFd file(::open(path.c_str(), flags, S_IRUSR | S_IWUSR));
    if (!file) return "created";
    while (!text.empty()) {
        const ssize_t count = ::write(file.get(), text.data(), text.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return "written";
        text.remove_prefix(static_cast<std::size_t>(count));
    }
    return ::fsync(file.get()) == 0 ? nullptr : "made durable";
}

const char* replace_durably(const std::string& from, const std::string& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) return "put in place";
    const std::filesystem::path parent = std::filesystem::path(to).parent_path();
    const std::string folder = parent.empty() ? "." : parent.string();
    const runtime::UniqueFd opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return opened && ::fsync(opened.get()) == 0 ? nullptr : "made durable in its folder";
}

} // namespace

std::expected<PersistentReservationsState, StoreError> ReservationStore::load() const {
    const auto unreadable = [&](const char* why) {
        return std::unexpected(
            StoreError{StoreError::Kind::kUnreadable, fmt::format("{}: cannot be read: {}", path_, why)});
    };
    const runtime::UniqueFd file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file) {
        if (errno == ENOENT) return PersistentReservationsState{};
        return unreadable(std::strerror(errno));
    }
    std::string text;
    std::array<char, 16384> buffer{};
    for (;;) {
        const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return unreadable(std::strerror(errno));
        if (count == 0) return parse_reservation_text(text, path_);
        text.append(buffer.data(), static_cast<std::size_t>(count));
        if (text.size() > kFileBytesLimit) return unreadable("too big to hold reservations");
    }
}

std::expected<void, StoreError> ReservationStore::save(const PersistentReservationsState& state) {
    const std::string fresh = path_ + ".new";
    const char* failed = write_durably(fresh, reservation_text(state));
    if (failed == nullptr) failed = replace_durably(fresh, path_);
    if (failed == nullptr) return {};
    return std::unexpected(StoreError{StoreError::Kind::kNotWritten,
                                      fmt::format("{}: cannot be {}: {}", path_, failed, std::strerror(errno))});
}

} // namespace touka::scsi
