// What is not RAM: the local APIC's page, and all else by the bus.
#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/rehearsal.hpp"
#include "cpu/interpreter/x87_state.hpp"

namespace touka::cpu::interpreter {

using spec::GuestAddress;
using spec::kPageSize;

std::uint64_t read_device(Processor& p, GuestAddress physical, unsigned length_bytes) {
    if (p.rehearsal != nullptr) {
        p.rehearsal->give_up();
        return 0;
    }
    spill_x87(p.regs);
    const std::uint64_t offset = physical.value % kPageSize;
    if (const auto page = p.interrupts.page(); page && page->value == physical.value - offset) {
        const auto word = static_cast<std::uint32_t>(offset & ~std::uint64_t{3});
        std::uint64_t value = p.interrupts.read_page(word);
        if (length_bytes == 8) value |= std::uint64_t{p.interrupts.read_page(word + 4)} << 32;
        return value >> (8 * (offset & 3));
    }
    return p.bus.read_memory(physical, length_bytes);
}

void write_device(Processor& p, GuestAddress physical, unsigned length_bytes, std::uint64_t value) {
    if (p.rehearsal != nullptr) return p.rehearsal->give_up();
    spill_x87(p.regs);
    const std::uint64_t offset = physical.value % kPageSize;
    if (const auto page = p.interrupts.page(); page && page->value == physical.value - offset) {
        // Registers are 32 bits wide; the result of other widths is undefined. (SDM vol. 3 rev. 084 §11.4.1)
        p.interrupts.write_page(static_cast<std::uint32_t>(offset & ~std::uint64_t{3}),
                                static_cast<std::uint32_t>(value));
        p.attention = true;
        return;
    }
    p.bus.write_memory(physical, length_bytes, value);
}

} // namespace touka::cpu::interpreter
