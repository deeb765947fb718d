// Segment registers and the descriptors behind them. (AMD64 APM vol. 2 rev. 3.42 §4; Intel SDM vol. 3 rev. 084 §3, §5)
#pragma once

#include <cstdint>
#include <optional>

#include "cpu/interpreter/processor.hpp"
#include "spec/x86/descriptor.hpp"

namespace touka::cpu::interpreter {

/// A selector with its descriptor, and where the descriptor lies.
struct DescriptorReference {
    spec::x86::Selector selector;
    spec::x86::Descriptor descriptor;
    std::uint64_t linear = 0;
};

/// Is it a null selector (index 0 of the GDT, any RPL)?
[[nodiscard]] constexpr bool is_null(std::uint16_t selector) { return (selector & ~3u) == 0; }
/// The error code that names a selector.
[[nodiscard]] constexpr std::uint32_t selector_error(std::uint16_t selector) { return selector & ~3u; }

/// Reads the descriptor of a selector that is not null.
/// @return false with Processor::fault set: `outside` with the selector when it is beyond its table's limit, #PF.
[[nodiscard]] bool read_descriptor(Processor& p, std::uint16_t selector, Exception outside, DescriptorReference& out);
/// As read_descriptor, but a selector beyond its table answers nothing: LAR, LSL, VERR, VERW.
[[nodiscard]] bool probe_descriptor(Processor& p, std::uint16_t selector, std::optional<DescriptorReference>& out);
/// The upper eight bytes of a 16-byte system descriptor in long mode, which must lie in the table too.
[[nodiscard]] bool read_upper_descriptor(Processor& p, const DescriptorReference& reference, std::uint64_t& upper);

/// The segment register that a descriptor makes.
[[nodiscard]] SegmentState make_segment(std::uint16_t selector, spec::x86::Descriptor descriptor);
/// An unusable segment register of that null selector; `privilege` is kept as its DPL.
[[nodiscard]] SegmentState make_null_segment(std::uint16_t selector, std::uint8_t privilege);
/// A segment register as real mode loads it: base = selector * 16, limit and attributes kept.
[[nodiscard]] SegmentState make_real_segment(const SegmentState& old, std::uint16_t selector);
/// A flat segment as SYSCALL and its kin make it: base 0, limit 4 GiB - 1, present, accessed.
[[nodiscard]] SegmentState make_flat_segment(std::uint16_t selector, std::uint16_t attributes);

/// Sets the accessed bit of a code or data descriptor in memory and in `reference`.
[[nodiscard]] bool mark_accessed(Processor& p, DescriptorReference& reference);

/// Loads ES, SS, DS, FS or GS as MOV and POP do. SS: the caller sets the interrupt shadow.
[[nodiscard]] bool load_segment(Processor& p, SegmentName name, std::uint16_t selector);
/// Checks and reads a stack segment for privilege `cpl`, as outer returns and stack switches load SS.
/// @param invalid raised with the selector when it is no writable data segment of that privilege (#GP or #TS).
[[nodiscard]] bool read_stack_segment(Processor& p, std::uint16_t selector, std::uint8_t cpl, Exception invalid,
                                      SegmentState& out);
/// After a return to an outer ring: data segments that it may not use become null.
void drop_inner_segments(Processor& p);

/// The target of a control transfer: CS and where in it.
struct CodeTarget {
    SegmentState cs;
    std::uint64_t rip = 0;
};
/// Is `rip` inside the segment, or canonical when it is a 64-bit one? @return false with #GP(0).
[[nodiscard]] bool check_target(Processor& p, const CodeTarget& target);
/// Sets CS and rip and the mode that follows. SS must already have its final value.
void enter(Processor& p, const CodeTarget& target);

} // namespace touka::cpu::interpreter
