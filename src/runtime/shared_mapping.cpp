#include "runtime/shared_mapping.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include <algorithm>
#include <array>

namespace touka::runtime {

namespace {

constexpr std::uint64_t kPageBytes = 4096;

/// Those of memory files, and those of local disks: a page of a file on FUSE or on a network comes when a process or a
/// server wants it to, and until then the thread that touched it stands.
bool answers_by_itself(const struct statfs& file_system) {
    constexpr std::array<std::uint64_t, 6> kKnown{TMPFS_MAGIC,      HUGETLBFS_MAGIC, RAMFS_MAGIC,
                                                  EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC};
    return std::ranges::find(kKnown, static_cast<std::uint64_t>(file_system.f_type)) != kKnown.end();
}

} // namespace

std::expected<SharedMapping, MappingError> SharedMapping::map(const UniqueFd& file, std::uint64_t offset_bytes,
                                                              std::uint64_t length_bytes) {
    const int seals = ::fcntl(file.get(), F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) return std::unexpected(MappingError::kNotSealed);
    return map_pages(file, offset_bytes, length_bytes, false);
}

std::expected<SharedMapping, MappingError> SharedMapping::map_unsealed(const UniqueFd& file, std::uint64_t offset_bytes,
                                                                       std::uint64_t length_bytes) {
    auto sealed = map(file, offset_bytes, length_bytes);
    if (sealed || sealed.error() != MappingError::kNotSealed) return sealed;
    return map_pages(file, offset_bytes, length_bytes, true);
}

std::expected<SharedMapping, MappingError> SharedMapping::map_pages(const UniqueFd& file, std::uint64_t offset_bytes,
                                                                    std::uint64_t length_bytes, bool may_shrink) {
    struct stat status{};
    struct statfs file_system{};
    if (::fstat(file.get(), &status) < 0 || ::fstatfs(file.get(), &file_system) < 0) {
        return std::unexpected(MappingError::kRefused);
    }
    if (may_shrink && (!S_ISREG(status.st_mode) || !answers_by_itself(file_system))) {
        return std::unexpected(MappingError::kNotMemory);
    }
    const bool large_pages = file_system.f_type == HUGETLBFS_MAGIC;
    const std::uint64_t page_bytes = large_pages ? static_cast<std::uint64_t>(file_system.f_bsize) : kPageBytes;
    const auto file_bytes = static_cast<std::uint64_t>(status.st_size);
    const bool within = offset_bytes <= file_bytes && length_bytes <= file_bytes - offset_bytes;
    if (length_bytes == 0 || !within) return std::unexpected(MappingError::kOutOfFile);
    const std::uint64_t before = offset_bytes % page_bytes;
    const std::uint64_t pages_bytes = (before + length_bytes + page_bytes - 1) / page_bytes * page_bytes;
    void* const place = ::mmap(nullptr, pages_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file.get(),
                               static_cast<off_t>(offset_bytes - before));
    if (place == MAP_FAILED) return std::unexpected(MappingError::kRefused);
    SharedMapping mapping;
    mapping.mapped_ = {static_cast<std::byte*>(place), pages_bytes};
    mapping.bytes_ = mapping.mapped_.subspan(before, length_bytes);
    if (may_shrink || large_pages) { // of which there may be no more when one is touched
        auto fleeting = FleetingMemory::watch(mapping.mapped_);
        if (!fleeting) return std::unexpected(MappingError::kNotMemory);
        mapping.fleeting_ = std::move(*fleeting);
    }
    return mapping;
}

std::expected<std::pair<UniqueFd, SharedMapping>, MappingError> SharedMapping::create(const char* name,
                                                                                      std::uint64_t length_bytes) {
    UniqueFd file(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file || ::ftruncate(file.get(), static_cast<off_t>(length_bytes)) < 0 ||
        ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        return std::unexpected(MappingError::kRefused);
    }
    auto mapping = map(file, 0, length_bytes);
    if (!mapping) return std::unexpected(mapping.error());
    return std::pair(std::move(file), std::move(*mapping));
}

SharedMapping::~SharedMapping() {
    fleeting_ = {}; // before the addresses are another mapping's
    if (!mapped_.empty()) ::munmap(mapped_.data(), mapped_.size());
}

} // namespace touka::runtime
