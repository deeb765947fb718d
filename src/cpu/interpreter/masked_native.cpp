#include "cpu/interpreter/masked_native.hpp"

#include <bit>
#include <cstring>
#include <span>

#include "cpu/interpreter/availability.hpp"
#include "cpu/interpreter/operand_block.hpp"
#include "cpu/interpreter/quick_access.hpp"
#include "cpu/interpreter/vector_element.hpp"

namespace touka::cpu::interpreter {
namespace {

/// Calls take(n) for each bit, from the lowest. @return false when one of the calls did.
bool for_each_bit(std::uint64_t bits, auto&& take) {
    for (; bits != 0; bits &= bits - 1)
        if (!take(static_cast<std::size_t>(std::countr_zero(bits)))) return false;
    return true;
}

[[nodiscard]] bool run_on(Processor& p, const HostInstruction& native, void* memory) {
    const auto exception = native.run(p.regs, memory);
    return !exception || raise_floating_point(p, *exception);
}

/// Bytes that are accessed at once. Operands of more than 8 bytes are never checked for alignment by RFLAGS.AC, so
/// their elements must not be.
std::size_t step_bytes(const Processor& p, const HostInstruction& native) {
    const std::size_t element_bytes = native.masked->element_bytes;
    return native.memory_bytes > sizeof(std::uint64_t) && checks_alignment(p) ? 1 : element_bytes;
}

/// Calls take(offset in the operand) for each piece of `step` bytes of the chosen elements.
bool for_each_piece(const MaskedOperand& masked, std::uint64_t chosen, std::size_t step, auto&& take) {
    return for_each_bit(chosen, [&](std::size_t n) {
        for (std::size_t at = 0; at < masked.element_bytes; at += step)
            if (!take(n * masked.element_bytes + at)) return false;
        return true;
    });
}

bool run_load(Processor& p, const HostInstruction& native, std::uint64_t linear, std::uint8_t access) {
    const std::size_t step = step_bytes(p, native);
    VectorBytes operand{};
    const bool loaded = for_each_piece(*native.masked, native.masked->chosen(p.regs), step, [&](std::size_t at) {
        std::uint64_t value = 0;
        if (!load_element(p, linear + at, step, access, value)) return false;
        std::memcpy(operand.data() + at, &value, step);
        return true;
    });
    return loaded && run_on(p, native, operand.data());
}

bool run_store(Processor& p, const HostInstruction& native, std::uint64_t linear, std::uint8_t access) {
    const MaskedOperand& masked = *native.masked;
    const std::uint64_t chosen = masked.chosen(p.regs);
    const bool writable = for_each_bit(chosen, [&](std::size_t n) {
        return probe_block(p, linear + n * masked.element_bytes, masked.element_bytes, true, access);
    });
    VectorBytes operand{};
    if (!writable || !run_on(p, native, operand.data())) return false;
    const std::size_t step = step_bytes(p, native);
    return for_each_piece(masked, chosen, step, [&](std::size_t at) {
        return store_element(p, linear + at, step, access, get_element(std::span(operand).subspan(at), 0, step));
    });
}

} // namespace

bool run_masked(Processor& p, const HostInstruction& native, std::uint64_t linear, std::uint8_t access) {
    const bool is_aligned = linear % native.alignment_bytes == 0;
    if (!is_aligned && native.masked->chosen(p.regs) != 0) return p.raise(Exception::kGeneralProtection);
    if (!native.writes_memory) {
        std::byte* host = is_aligned ? quick_read_at(p, linear, native.memory_bytes) : nullptr;
        if (host != nullptr) return run_on(p, native, host);
        return run_load(p, native, linear, access);
    }
    // What may raise an exception works on a copy of the operand, and would write all of it.
    const QuickWrite quick = quick_write_at(p, linear, native.memory_bytes);
    const bool writes_chosen_alone = native.kind == HostInstruction::Kind::kPlain;
    if (quick.host == nullptr || !is_aligned || !writes_chosen_alone) return run_store(p, native, linear, access);
    if (!run_on(p, native, quick.host)) return false;
    close_operand(p, quick.host);
    return true;
}

} // namespace touka::cpu::interpreter
