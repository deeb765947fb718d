// Recently used translations from linear pages to host memory, so that most accesses cost a compare and an add.
#pragma once

#include <array>
#include <cstdint>

namespace touka::cpu::interpreter {

/// One linear page. A tag is the linear page address (4 KiB aligned) when that kind of access is allowed under
/// the current privilege, kNone when it is not or the slot is empty.
struct TlbEntry {
    static constexpr std::uint64_t kNone = ~std::uint64_t{0};
    std::uint64_t read_tag = kNone;
    std::uint64_t write_tag = kNone;
    std::uint64_t execute_tag = kNone;
    std::uint64_t host_minus_linear = 0;
};

/// Direct-mapped. Supervisor and user accesses use tables of their own, so that a ring change flushes nothing.
struct Tlb {
    static constexpr std::size_t kEntryCount = 1024;
    std::array<std::array<TlbEntry, kEntryCount>, 2> tables{}; ///< [0] supervisor, [1] user
};

} // namespace touka::cpu::interpreter
