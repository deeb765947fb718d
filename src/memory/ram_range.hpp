// A contiguous piece of RAM.
#pragma once

#include <cstdint>

#include "spec/address.hpp"

namespace touka::memory {

using spec::GuestAddress;

/// A contiguous piece of RAM in the guest's physical address space and its place in the memfd.
struct RamRange {
    GuestAddress start;
    std::uint64_t length_bytes = 0;
    std::uint64_t file_offset = 0;
    [[nodiscard]] GuestAddress end() const { return start + length_bytes; }
};

} // namespace touka::memory
