#include "cpu/interpreter/mode.hpp"

#include "spec/x86/descriptor.hpp"

namespace touka::cpu::interpreter {

using namespace spec::x86;

void update_mode(Processor& p) {
    const SegmentState& cs = p.segment(SegmentName::kCs);
    const SegmentState& ss = p.segment(SegmentName::kSs);
    p.protected_mode = (p.cr0 & cr0::PE) != 0;
    p.long_mode = (p.msr.efer & efer::LMA) != 0;
    p.cpl = p.protected_mode ? static_cast<std::uint8_t>((ss.attributes & attribute::DPL) >> attribute::kDplShift)
                             : std::uint8_t{0};
    if (p.long_mode && (cs.attributes & attribute::L) != 0)
        p.code_size = CodeSize::k64;
    else
        p.code_size = (cs.attributes & attribute::DB) != 0 ? CodeSize::k32 : CodeSize::k16;
}

std::uint64_t stack_pointer_mask(const Processor& p) {
    if (in_64bit_code(p)) return ~std::uint64_t{0};
    return (p.segment(SegmentName::kSs).attributes & attribute::DB) != 0 ? 0xFFFF'FFFF : 0xFFFF;
}

void set_stack_pointer(Processor& p, std::uint64_t value, std::uint64_t mask) {
    std::uint64_t& rsp = p.gpr(Gpr::kRsp);
    rsp = mask == 0xFFFF ? (rsp & ~mask) | (value & mask) : value & mask;
}

std::uint64_t writable_flags(const Processor& p, unsigned width_bytes) {
    std::uint64_t mask = StatusFlags::kRflagsMask | rflags::TF | rflags::DF | rflags::NT;
    if (width_bytes > 2) mask |= rflags::AC | rflags::ID;
    const auto iopl = (p.system_flags & rflags::IOPL) >> 12;
    if (p.cpl <= iopl) mask |= rflags::IF;
    if (p.cpl == 0) mask |= rflags::IOPL;
    return mask;
}

} // namespace touka::cpu::interpreter
