// The registers that string instructions walk with: rSI, rDI and rCX. (AMD64 APM vol. 3 rev. 3.36 §1.2.1)
#pragma once

#include "cpu/interpreter/op_draft.hpp"

namespace touka::cpu::interpreter {

enum class Repeat : std::uint8_t { kNone, kWhileEqual, kWhileNotEqual };

/// Enters address size, source segment and repeat prefix (Op::variant). @return false when the instruction is not a
/// string instruction but an SSE one of the same name.
[[nodiscard]] bool set_string(Draft& draft);

/// One string instruction under way.
class StringOperands {
public:
    /// How long other threads' requests may wait.
    static constexpr std::uint64_t kElementsBetweenLooks = 1024;

    StringOperands(const Processor& p, const Op* op);

    /// Linear addresses of the next element; kNoAddress with the fault set when the segment forbids it.
    [[nodiscard]] std::uint64_t source(Processor& p, unsigned length_bytes) const {
        return address(p, segment_, p.gpr(Gpr::kRsi), length_bytes, false);
    }
    [[nodiscard]] std::uint64_t destination(Processor& p, unsigned length_bytes, bool write) const {
        return address(p, SegmentName::kEs, p.gpr(Gpr::kRdi), length_bytes, write);
    }
    [[nodiscard]] std::uint64_t count(const Processor& p) const {
        return get<std::uint64_t>(p, gpr_offset(Gpr::kRcx)) & mask_;
    }
    void set_count(Processor& p, std::uint64_t count) const { set_register(p, Gpr::kRcx, count); }
    /// Moves over `count` elements, up or down as DF says.
    void advance(Processor& p, unsigned element_bytes, std::uint64_t count, bool source, bool destination) const;
    /// 64-bit code and addresses, DF clear: elements follow each other in linear memory without checks between.
    [[nodiscard]] bool is_plain_and_ascending() const { return plain_and_ascending_; }

private:
    [[nodiscard]] std::uint64_t address(Processor& p, SegmentName segment, std::uint64_t offset, unsigned length_bytes,
                                        bool write) const;
    void set_register(Processor& p, Gpr name, std::uint64_t value) const;

    std::uint64_t mask_;
    SegmentName segment_;
    bool descending_;
    bool plain_and_ascending_;
};

/// A debug trap is due after an element: single-step, or a breakpoint that it met.
[[nodiscard]] inline bool is_trapped(const Processor& p) {
    return p.pending_debug != 0 || (p.system_flags & spec::x86::rflags::TF) != 0;
}
/// Ends a repeated instruction that has elements left, for the loop to look around: it goes on where it is. Whatever
/// comes between shows RF set, so that no breakpoint stops the same instruction twice. (Intel SDM vol. 3 §18.3.1.1)
[[nodiscard]] Link* leave_unfinished(Processor& p, const Op* op);

} // namespace touka::cpu::interpreter
