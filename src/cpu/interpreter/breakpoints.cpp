#include "cpu/interpreter/breakpoints.hpp"

namespace touka::cpu::interpreter {

using namespace spec::x86;

namespace {

/// The DR6 bits of the enabled breakpoints for which `meets` holds.
/// @param meets is asked with the number and what DR7 says of R/W and LEN.
[[nodiscard]] std::uint64_t enabled_breakpoints(const Processor& p, auto&& meets) {
    std::uint64_t met = 0;
    for (unsigned n = 0; n < dr7::kBreakpoints; ++n)
        if (dr7::is_enabled(p.dr[7], n) && meets(n, dr7::condition(p.dr[7], n), dr7::length_bytes(p.dr[7], n)))
            met |= dr6::B0 << n;
    return met;
}

/// Does [first, first + length_bytes) touch the breakpoint's bytes? Those are aligned to their count, whatever the low
/// bits of the register say.
[[nodiscard]] bool overlaps(std::uint64_t first, unsigned length_bytes, std::uint64_t breakpoint,
                            unsigned breakpoint_bytes) {
    const std::uint64_t start = breakpoint & ~std::uint64_t{breakpoint_bytes - 1u};
    return first - start < breakpoint_bytes || start - first < length_bytes;
}

} // namespace

std::uint64_t instruction_breakpoints(const Processor& p) {
    std::uint64_t linear = p.rip;
    if (p.code_size != CodeSize::k64) linear = (p.segment(SegmentName::kCs).base + p.rip) & 0xFFFF'FFFF;
    return enabled_breakpoints(p, [&](unsigned n, dr7::Condition condition, unsigned bytes) {
        return condition == dr7::Condition::kExecution && bytes == 1 && p.dr[n] == linear;
    });
}

bool watches_data(const Processor& p) {
    return enabled_breakpoints(p, [](unsigned, dr7::Condition condition, unsigned) {
               return condition == dr7::Condition::kWrite || condition == dr7::Condition::kAccess;
           }) != 0;
}

void note_data_access(Processor& p, std::uint64_t linear, unsigned length_bytes, bool write) {
    if (!has_breakpoints(p)) return;
    p.pending_debug |= enabled_breakpoints(p, [&](unsigned n, dr7::Condition condition, unsigned bytes) {
        const bool wanted = condition == dr7::Condition::kAccess || (write && condition == dr7::Condition::kWrite);
        return wanted && overlaps(linear, length_bytes, p.dr[n], bytes);
    });
}

void note_port_access(Processor& p, std::uint16_t port, unsigned width_bytes) {
    if (!has_breakpoints(p) || (p.cr4 & cr4::DE) == 0) return;
    p.pending_debug |= enabled_breakpoints(p, [&](unsigned n, dr7::Condition condition, unsigned bytes) {
        return condition == dr7::Condition::kPort && overlaps(port, width_bytes, p.dr[n], bytes);
    });
}

} // namespace touka::cpu::interpreter
