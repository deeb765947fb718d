// Memory operands: from guest registers to a host address that may be accessed.
#include <algorithm>
#include <bit>

#include "cpu/translator/block_emitter.hpp"
#include "cpu/translator/lookaside_table.hpp"
#include "spec/address.hpp"

namespace touka::cpu::translator {

using Xbyak::Reg64;

namespace {

/// It needs RCX at most, beside the registers that its operands have to themselves.
[[nodiscard]] bool leaves_rax_alone(const GuestInstruction& i) {
    if (i.kind != Kind::kCopied || i.uses_x87) return false;
    std::uint8_t borrowed = kNoRegister;
    for (std::size_t n = 0; n < i.decoded.info.operand_count; ++n) {
        const auto& o = i.operand(n);
        const std::uint8_t number = general_number(o);
        if (number == kNoRegister) continue;
        if (is_high_byte(o.reg.value)) return false;
        if (kHostOf[number] != kAtHome || number == borrowed) continue;
        if (borrowed != kNoRegister) return false;
        borrowed = number;
    }
    return true;
}

} // namespace

/// `before` bytes are added to the displacement. Changes flags for segment bases and bits only, whose users have them
/// at home.
void BlockEmitter::emit_address(const MemoryAccess& a, std::int32_t before, const Reg64& to) {
    const std::int32_t displacement = a.displacement + before;
    if (a.base == MemoryAccess::kRip) {
        mov(to, ptr[rsp + o_.rip_base]);
        Xbyak::CodeGenerator::lea(to, ptr[displaced(to, displacement)]);
    } else if (a.base == MemoryAccess::kNone && a.index == MemoryAccess::kNone) {
        mov(to, static_cast<std::uint64_t>(std::int64_t{displacement}));
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
    if (a.bit != MemoryAccess::kNone) add_element(a, to);
    if (a.has_short_address) mov(to.cvt32(), to.cvt32());
    if (a.has_base_segment) add(to, ptr[rsp + (a.is_gs ? o_.gs_base : o_.fs_base)]);
}

/// Of the one that the bit lies in.
void BlockEmitter::add_element(const MemoryAccess& a, const Reg64& to) {
    const Reg64 bit(in_register(a.bit, kHostRcx));
    switch (a.element_bytes) {
        case 2: movsx(rcx, bit.cvt16()); break;
        case 4: movsxd(rcx, bit.cvt32()); break;
        default: mov(rcx, bit); break;
    }
    sar(rcx, std::countr_zero(a.element_bytes * 8u));
    Xbyak::CodeGenerator::lea(to, ptr[to + rcx * a.element_bytes]);
}

/// RCX is the number of the slot.
Xbyak::Address BlockEmitter::in_table(std::int64_t array) const {
    return ptr[Reg64(kHostTable) + rcx * 8 + static_cast<std::size_t>(array)];
}

std::size_t BlockEmitter::pointer_number(const Reg64& at) {
    return at.getIdx() == kHostRax ? 0 : at.getIdx() == kHostPointers[0] ? 1 : 2;
}

/// Ends with the number that the address within the page is compared with, and the jump.
void BlockEmitter::assemble_look_up(const Reg64& at, bool writes) {
    shrx(ecx, at.cvt32(), Reg64(kHostTable).cvt32());
    xor_(at, in_table(writes ? LookasideTable::kWriteTagsOffset : LookasideTable::kReadTagsOffset));
    cmp(at, static_cast<std::uint32_t>(spec::kPageSize));
    forward_jump(0x0F87); // JA
}

std::size_t BlockEmitter::look_up_page(const Reg64& at, std::uint32_t span_bytes, bool writes) {
    constexpr std::size_t kJumpBytes = 6, kNumberBytes = 4;
    const CheckPieces& pieces = check_pieces_[pointer_number(at)];
    put((writes ? pieces.write : pieces.read).bytes());
    rewrite(getSize() - kJumpBytes - kNumberBytes, spec::kPageSize - span_bytes, kNumberBytes);
    return getSize() - sizeof(std::uint32_t);
}

void BlockEmitter::emit_check(const Checked& checked, const Reg64& at) {
    flags_safe();
    const std::size_t retry = getSize();
    emit_address(checked.access, checked.before, at);
    const std::size_t jump = look_up_page(at, checked.span_bytes, checked.writes);
    put(check_pieces_[pointer_number(at)].address.bytes());
    check_stubs_.push_back({jump, retry, checked, offset_, lost_flags()});
}

/// A group whose accesses do not have all that they need on one page is left to the twin, which checks each for itself.
void BlockEmitter::emit_check_stub(const CheckStub& stub) {
    const Checked& c = stub.checked;
    resolve(stub.jump);
    if (c.is_group) {
        emit_address(c.access, c.before, rax);
        and_(eax, static_cast<std::uint32_t>(spec::kPageSize - 1));
        cmp(eax, static_cast<std::uint32_t>(spec::kPageSize) - c.span_bytes);
        const std::size_t on_one = forward_jump(0x0F86); // JBE
        const std::size_t twin = getSize();
        if (stub.flags) follow_recipe(stub.flags);
        add_link(forward_jump(0xE9), stub.offset, stub.offset, false);
        resolve(on_one);
        if (c.writes && !c.access.writes) {
            // What may be read here need not be written yet: that is for the access that does.
            emit_address(c.access, c.before, rax);
            const std::size_t unknown = look_up_page(rax, c.span_bytes, false);
            jmp(getCode() + twin);
            resolve(unknown);
        }
    }
    mov(ecx, static_cast<std::uint32_t>(tables_->checks.size()));
    jump_to_thunk(thunks_.fill);
    CheckSite site{.retry = static_cast<std::uint32_t>(stub.retry),
                   .offset = stub.offset,
                   .length_bytes = static_cast<std::uint16_t>(c.span_bytes),
                   .writes = c.access.writes,
                   .flags = stub.flags,
                   .address = c.access};
    site.address.displacement += c.before;
    tables_->checks.push_back(site);
}

unsigned BlockEmitter::waiting(std::uint8_t group) const {
    return group == kNoGroup ? 0 : static_cast<unsigned>(block_->groups[group].access_count - opened_[group]);
}

HostRegister BlockEmitter::take_pointer() {
    std::size_t least = 0;
    for (std::size_t n = 1; n < pointer_groups_.size(); ++n)
        if (waiting(pointer_groups_[n]) < waiting(pointer_groups_[least])) least = n;
    pointer_groups_[least] = kNoGroup;
    return kHostPointers[least];
}

BlockEmitter::Place BlockEmitter::open(const MemoryAccess& a, Pointer pointer) {
    if (a.group != MemoryAccess::kNoGroup) {
        const AccessGroup& group = block_->groups[a.group];
        ++opened_[a.group];
        const std::int32_t from_low = a.group_offset - group.low;
        for (std::size_t n = 0; n < pointer_groups_.size(); ++n)
            if (pointer_groups_[n] == a.group) return {kHostPointers[n], from_low};
        unsigned missed_least = ~0u;
        for (const std::uint8_t other : pointer_groups_) missed_least = std::min(missed_least, waiting(other));
        const bool worth_it = waiting(a.group) > 0 && missed_least <= waiting(a.group);
        if (pointer == Pointer::kOwn || (pointer == Pointer::kAny && worth_it)) {
            const HostRegister to = take_pointer();
            emit_check({.access = a,
                        .before = -from_low,
                        .span_bytes = static_cast<std::uint32_t>(group.high - group.low),
                        .is_group = true,
                        .writes = group.writes},
                       Reg64(to));
            pointer_groups_[to == kHostPointers[0] ? 0 : 1] = a.group;
            return {to, from_low};
        }
    }
    const HostRegister to = pointer == Pointer::kOwn ? take_pointer() : kHostRax;
    emit_check({.access = a, .span_bytes = a.size_bytes, .writes = a.writes}, Reg64(to));
    return {to, 0};
}

BlockEmitter::Place BlockEmitter::open_for(const GuestInstruction& i) {
    return opened_ahead_ == &i ? place_ahead_ : open(i.access);
}

bool BlockEmitter::opens_ahead(const GuestInstruction& i, const GuestInstruction* next) {
    if (next == nullptr || next->kind != Kind::kCopied || !next->has_access || next->uses_x87) return false;
    if (!i.flags.overwrites || i.flags.reads || i.has_access || !leaves_rax_alone(i)) return false;
    if (next->flags.overwrites && !next->flags.reads) return false; // nobody wants them
    return !writes_either(i, next->access.base, next->access.index);
}

void BlockEmitter::open_ahead(const GuestInstruction& i, const GuestInstruction* next) {
    if (!opens_ahead(i, next)) return;
    place_ahead_ = open(next->access);
    opened_ahead_ = next;
}

BlockEmitter::Place BlockEmitter::moved_to_rcx(Place place) {
    if (place.base != kHostRax) return place;
    mov(rcx, rax);
    return {kHostRcx, place.displacement};
}

} // namespace touka::cpu::translator
