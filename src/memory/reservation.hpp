// The way RAM is mapped: one reservation over all ranges and the hole between them.
#pragma once

#include <cstddef>
#include <span>

#include "memory/ram_range.hpp"

namespace touka::memory {

/// Maps the memfd so that host address minus guest address is a constant; the hole stays inaccessible.
/// @param protection PROT_ bits. @return the host address of guest address 0, the first of ranges.back().end() bytes
/// for the caller to unmap; nullptr when the host has no room.
[[nodiscard]] std::byte* map_ranges(int fd, std::span<const RamRange> ranges, int protection);

} // namespace touka::memory
