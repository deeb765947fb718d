// Memory operands: from guest registers to a host address that may be accessed.
#include "cpu/translator/block_emitter.hpp"
#include "cpu/translator/lookaside_table.hpp"
#include "spec/address.hpp"

namespace touka::cpu::translator {

using Xbyak::Reg64;

/// `before` bytes are added to the displacement. Changes no flag but for a segment base, whose users have them at home.
void BlockEmitter::emit_address(const MemoryAccess& a, std::int32_t before, const Reg64& to) {
    const std::int32_t displacement = a.displacement + before;
    if (a.base == MemoryAccess::kRip) {
        mov(to, ptr[rsp + o_.rip_base]);
        Xbyak::CodeGenerator::lea(to, ptr[displaced(to, displacement)]);
    } else if (a.base == MemoryAccess::kNone && a.index == MemoryAccess::kNone) {
        mov(to, static_cast<std::int64_t>(displacement));
    } else {
        Xbyak::RegExp sum;
        if (a.index != MemoryAccess::kNone) {
            const HostRegister index = in_register(a.index, kHostRcx);
            sum = Xbyak::RegExp(Reg64(index), a.scale);
        }
        if (a.base != MemoryAccess::kNone) {
            const HostRegister base = in_register(a.base, static_cast<HostRegister>(to.getIdx()));
            sum = a.index != MemoryAccess::kNone ? Reg64(base) + sum : Xbyak::RegExp(Reg64(base));
        }
        if (a.index == MemoryAccess::kNone && displacement == 0)
            mov(to, Reg64(kHostOf[a.base] == kAtHome ? to.getIdx() : kHostOf[a.base]));
        else
            Xbyak::CodeGenerator::lea(to, ptr[displaced(sum, displacement)]);
    }
    if (a.has_short_address) mov(to.cvt32(), to.cvt32());
    if (a.has_base_segment) add(to, ptr[rsp + (a.is_gs ? o_.gs_base : o_.fs_base)]);
}

void BlockEmitter::emit_check(const MemoryAccess& access, std::int32_t before, std::uint32_t span_bytes,
                              const Reg64& at, bool is_group) {
    flags_home();
    const std::size_t retry = getSize();
    emit_address(access, before, at);
    mov(ecx, at.cvt32());
    shr(ecx, 12);
    xor_(at, ptr[Reg64(kHostTable) + rcx * 8]);
    cmp(at, static_cast<std::uint32_t>(spec::kPageSize) - span_bytes);
    const std::size_t jump = forward_jump(0x0F87); // JA
    add(at, ptr[Reg64(kHostTable) + rcx * 8 + LookasideTable::kHostPagesOffset]);
    check_stubs_.push_back({jump, retry, access, before, span_bytes, is_group, offset_});
}

BlockEmitter::Place BlockEmitter::open(const MemoryAccess& a, Pointer pointer) {
    if (a.group != MemoryAccess::kNoGroup) {
        const AccessGroup& group = block_->groups[a.group];
        const auto left = group.access_count - opened_[a.group]++;
        const std::int32_t from_low = a.group_offset - group.low;
        if (pointer_group_ == a.group && pointer != Pointer::kScratch) return {kHostPointer, from_low};
        const bool others_wait =
            pointer_group_ != kNoGroup && block_->groups[pointer_group_].access_count - opened_[pointer_group_] > left;
        if (pointer == Pointer::kOwn || (pointer == Pointer::kAny && left > 1 && !others_wait)) {
            forget_pointer();
            emit_check(a, -from_low, static_cast<std::uint32_t>(group.high - group.low), Reg64(kHostPointer), true);
            pointer_group_ = a.group;
            return {kHostPointer, from_low};
        }
    }
    const bool own = pointer == Pointer::kOwn;
    if (own) forget_pointer();
    const HostRegister to = own ? kHostPointer : kHostRax;
    emit_check(a, 0, a.size_bytes, Reg64(to), false);
    return {to, 0};
}

BlockEmitter::Place BlockEmitter::moved_to_rcx(Place place) {
    if (place.base != kHostRax) return place;
    mov(rcx, rax);
    return {kHostRcx, place.displacement};
}

} // namespace touka::cpu::translator
