#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <utility>

#include "runtime/fleeting_memory.hpp"
#include "runtime/unique_fd.hpp"

namespace touka::runtime {

enum class MappingError {
    kNotSealed, ///< the other process could make the file shorter, and this one die of it (SIGBUS)
    kNotMemory, ///< of a file system whose answers can be kept back for ever, or too many of such mappings
    kOutOfFile, ///< the part asked for is not within the file, or empty
    kRefused,   ///< by the kernel
};

/// A part of a memory file, mapped for reading and writing as long as this object lives.
class SharedMapping {
public:
    SharedMapping() = default;
    /// @param offset_bytes need not be that of a page.
    [[nodiscard]] static std::expected<SharedMapping, MappingError>
    map(const UniqueFd& file, std::uint64_t offset_bytes, std::uint64_t length_bytes);
    /// Also a file that is not sealed, when it is in memory or on a local disk. Who makes it shorter takes its contents
    /// away: whoever uses the mapping finds zeros, and `lost`.
    [[nodiscard]] static std::expected<SharedMapping, MappingError>
    map_unsealed(const UniqueFd& file, std::uint64_t offset_bytes, std::uint64_t length_bytes);
    /// A new memory file of zeros, sealed against becoming shorter, and a mapping of it.
    [[nodiscard]] static std::expected<std::pair<UniqueFd, SharedMapping>, MappingError>
    create(const char* name, std::uint64_t length_bytes);
    ~SharedMapping();
    SharedMapping(SharedMapping&& other) noexcept
        : mapped_(std::exchange(other.mapped_, {})), bytes_(std::exchange(other.bytes_, {})),
          fleeting_(std::move(other.fleeting_)) {}
    SharedMapping& operator=(SharedMapping&& other) noexcept {
        std::swap(mapped_, other.mapped_);
        std::swap(bytes_, other.bytes_);
        std::swap(fleeting_, other.fleeting_);
        return *this;
    }

    [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }
    /// A part of it was not there any more when it was used. Any thread.
    [[nodiscard]] bool lost() const { return fleeting_.lost(); }

private:
    [[nodiscard]] static std::expected<SharedMapping, MappingError>
    map_pages(const UniqueFd& file, std::uint64_t offset_bytes, std::uint64_t length_bytes, bool may_shrink);

    std::span<std::byte> mapped_; // whole pages
    std::span<std::byte> bytes_;
    FleetingMemory fleeting_; // where there may be less than is mapped
};

} // namespace touka::runtime
