// Segment bases, limits and rights for data accesses. (AMD64 APM vol. 2 rev. 3.42 §4.5, §4.12)
#pragma once

#include <cstdint>

#include "cpu/interpreter/processor.hpp"

namespace touka::cpu::interpreter {

/// The linear address of [offset, offset + length_bytes) in a segment; `offset` is already of the address size. In
/// 64-bit code only the bases of FS and GS count; else limit, presence and type are checked and the result has 32 bits.
/// @return false with #GP(0), or #SS(0) for SS.
[[nodiscard]] bool segment_address(Processor& p, SegmentName name, std::uint64_t offset, std::uint64_t length_bytes,
                                   bool write, std::uint64_t& linear);

} // namespace touka::cpu::interpreter
