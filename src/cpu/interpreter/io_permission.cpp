#include "cpu/interpreter/io_permission.hpp"

#include "cpu/interpreter/memory_access.hpp"
#include "spec/x86/descriptor.hpp"
#include "spec/x86/task_state.hpp"

namespace touka::cpu::interpreter {

using namespace spec::x86;

bool port_allowed(Processor& p, std::uint16_t port, unsigned width_bytes) {
    const auto iopl = (p.system_flags & rflags::IOPL) >> 12;
    if (!p.protected_mode || p.cpl <= iopl) return true;
    const auto type = static_cast<SystemType>(p.tr.attributes & attribute::kType);
    const bool has_map = !p.tr.unusable && (type == SystemType::kTssAvailable || type == SystemType::kTssBusy) &&
                         p.tr.limit >= tss::kBytes - 1;
    if (!has_map) return p.raise(Exception::kGeneralProtection);
    std::uint16_t map_base = 0;
    if (!read_linear(p, p.tr.base + tss::kIoMapBaseOffset, map_base, Privilege::kSupervisor)) return false;
    // Two bytes are always read: the ports of one access may straddle them.
    const std::uint32_t offset = std::uint32_t{map_base} + port / 8u;
    if (offset + 1 > p.tr.limit) return p.raise(Exception::kGeneralProtection);
    std::uint16_t bits = 0;
    if (!read_linear(p, p.tr.base + offset, bits, Privilege::kSupervisor)) return false;
    const std::uint32_t mask = ((1u << width_bytes) - 1) << (port % 8);
    return (bits & mask) == 0 || p.raise(Exception::kGeneralProtection);
}

} // namespace touka::cpu::interpreter
