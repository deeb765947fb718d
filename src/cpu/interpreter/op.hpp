// A decoded instruction as the interpreter runs it: a handler and its operands, ready to use.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "cpu/interpreter/processor.hpp"

namespace touka::cpu::interpreter {

struct Block;
struct Op;

/// Where a direct jump inside its own page leads, remembered by the jump.
struct Link {
    Block* block;
};

/// Runs the instruction and, through next(), those that follow it in the block.
/// @return with Processor::rip set to what comes next: the link to take there, or nullptr to look the block up.
using Handler = Link* (*)(Processor&, const Op*);

/// Register operands are byte offsets into RegisterFile, so that AH and R8 are read alike.
struct Op {
    Handler handler = nullptr;
    union {
        std::int64_t displacement = 0; ///< of the memory operand; branches that leave the page: target - code_base
        const void* description;       ///< what a rare instruction is executed from
        mutable Link link;             ///< branches inside the page
    };
    std::int32_t immediate = 0; ///< sign-extended to the operation's width; branches inside the page: as displacement
    std::uint16_t offset = 0;   ///< of the instruction from the block's first
    std::uint8_t base = 0, index = 0;
    std::uint8_t reg = 0, reg2 = 0;
    std::uint8_t length_bytes = 0;
    std::uint8_t scale = 0;   ///< of the index: a shift, 0 to 3
    std::uint8_t segment = 0; ///< SegmentName of the memory operand
    std::uint8_t address = 0; ///< address_form:: of the memory operand
    std::uint8_t access = 0;  ///< access:: bits of the memory operand
    std::uint8_t variant = 0; ///< what the handler's group says
};
static_assert(sizeof(Op) == 32);

namespace address_form {
/// In 64-bit code without a segment base: the offset is the linear address. Else the size of the offset.
inline constexpr std::uint8_t kPlain = 0, k16 = 1, k32 = 2, k64 = 3;
} // namespace address_form

inline constexpr std::uint8_t kZeroOffset = offsetof(RegisterFile, zero);
inline constexpr std::uint8_t kCodeBaseOffset = offsetof(RegisterFile, code_base);
static_assert(offsetof(RegisterFile, gpr) == 0 && offsetof(RegisterFile, code_base) < 256);

[[nodiscard]] constexpr std::uint8_t gpr_offset(Gpr name) { return static_cast<std::uint8_t>(name) * 8; }

template <std::unsigned_integral T>
[[nodiscard, gnu::always_inline]] inline T get(const Processor& p, std::uint8_t offset) {
    T value;
    std::memcpy(&value, reinterpret_cast<const std::byte*>(&p.regs) + offset, sizeof(T));
    return value;
}

/// Writes a general register: 32 bits clear the upper half, 8 and 16 leave the rest.
template <std::unsigned_integral T>
[[gnu::always_inline]] inline void set(Processor& p, std::uint8_t offset, T value) {
    std::byte* place = reinterpret_cast<std::byte*>(&p.regs) + offset;
    if constexpr (sizeof(T) == 4) {
        const std::uint64_t extended = value;
        std::memcpy(place, &extended, sizeof(extended));
    } else {
        std::memcpy(place, &value, sizeof(T));
    }
}

/// The last step of each handler that does not end its block.
[[nodiscard, gnu::always_inline]] inline Link* next(Processor& p, const Op* op) { return op[1].handler(p, op + 1); }

/// The instruction did not happen: Processor::fault says why.
[[nodiscard]] Link* stop(Processor& p, const Op* op);
/// The instruction is done and the loop must look around before the next one.
[[nodiscard]] Link* leave_after(Processor& p, const Op* op);

[[nodiscard, gnu::always_inline]] inline std::uint64_t own_rip(const Processor& p, const Op* op) {
    return p.regs.code_base + op->offset;
}
[[nodiscard, gnu::always_inline]] inline std::uint64_t following_rip(const Processor& p, const Op* op) {
    return p.regs.code_base + op->offset + op->length_bytes;
}

/// The offset part of the memory operand, as LEA gives it before truncation to the address size.
[[nodiscard, gnu::always_inline]] inline std::uint64_t effective_address(const Processor& p, const Op* op) {
    return get<std::uint64_t>(p, op->base) + (get<std::uint64_t>(p, op->index) << op->scale) +
           static_cast<std::uint64_t>(op->displacement);
}

/// What a failed segment check gives as linear address, with Processor::fault set: no TLB entry matches it, and the
/// slow path of the access sees the fault.
inline constexpr std::uint64_t kNoAddress = std::uint64_t{1} << 63;
/// Applies address size, segment base and segment checks.
[[nodiscard]] std::uint64_t segmented_address(Processor& p, const Op* op, std::uint64_t offset, unsigned length_bytes,
                                              bool write);

/// The linear address of the memory operand.
[[nodiscard, gnu::always_inline]] inline std::uint64_t linear_address(Processor& p, const Op* op, unsigned length_bytes,
                                                                      bool write) {
    const std::uint64_t offset = effective_address(p, op);
    if (op->address == address_form::kPlain) [[likely]]
        return offset;
    return segmented_address(p, op, offset, length_bytes, write);
}

} // namespace touka::cpu::interpreter
