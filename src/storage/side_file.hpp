#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "storage/raw_file.hpp"

namespace touka::storage {

enum class SideFileSpace : std::uint8_t {
    kSparse,   ///< zeros take no space
    kReserved, ///< writing never fails for lack of space, where the file system can promise that
};

/// Opens a file of our own that is kept beside a disk, locked like a disk; makes or lengthens it first, for its owner
/// alone, so that it is there after a loss of power.
/// @param size_bytes the least it must have; a multiple of 4096.
/// @return kNoPermission, kFailed (no space among them) or a failure of RawFile::open.
[[nodiscard]] std::expected<std::unique_ptr<RawFile>, OpenFailure>
open_side_file(const std::string& path, std::uint64_t size_bytes, SideFileSpace space);

} // namespace touka::storage
