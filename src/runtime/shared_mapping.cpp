#include "runtime/shared_mapping.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <limits>

namespace touka::runtime {

namespace {

constexpr std::uint64_t kPageBytes = 4096;

} // namespace

std::expected<SharedMapping, MappingError> SharedMapping::map(const UniqueFd& file, std::uint64_t offset_bytes,
                                                              std::uint64_t length_bytes) {
    const int seals = ::fcntl(file.get(), F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) return std::unexpected(MappingError::kNotSealed);
    struct stat status{};
    if (::fstat(file.get(), &status) < 0) return std::unexpected(MappingError::kRefused);
    const auto file_bytes = static_cast<std::uint64_t>(status.st_size);
    const bool within = offset_bytes <= file_bytes && length_bytes <= file_bytes - offset_bytes;
    if (length_bytes == 0 || !within) return std::unexpected(MappingError::kOutOfFile);
    const std::uint64_t before = offset_bytes % kPageBytes;
    void* const place = ::mmap(nullptr, before + length_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                               file.get(), static_cast<off_t>(offset_bytes - before));
    if (place == MAP_FAILED) return std::unexpected(MappingError::kRefused);
    SharedMapping mapping;
    mapping.mapped_ = {static_cast<std::byte*>(place), before + length_bytes};
    mapping.bytes_ = mapping.mapped_.subspan(before);
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
    if (!mapped_.empty()) ::munmap(mapped_.data(), mapped_.size());
}

} // namespace touka::runtime
