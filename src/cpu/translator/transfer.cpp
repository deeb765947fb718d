// Jumps, calls and returns.
//
// Inside a page a jump is linked to its target's code. Everything else goes by the linear address: through the jump
// cache, where the guest's mapping is known to be the one that the code was found under.

#include <cstddef>

#include "cpu/translator/block_emitter.hpp"
#include "spec/address.hpp"

namespace touka::cpu::translator {
namespace {

using Xbyak::Reg64;

constexpr unsigned kLowNibble = 0xF;

/// Bits of StatusFlags::packed that a condition looks at, when it is about one of several bits being set.
struct FlagBits {
    bool upper_byte; ///< of packed
    std::uint8_t mask;
};
/// By condition / 2; mask 0: compares SF with OF.
constexpr std::array<FlagBits, 8> kConditionBits{{
    {false, 0x01}, // O
    {true, 0x01},  // B
    {true, 0x40},  // Z
    {true, 0x41},  // BE
    {true, 0x80},  // S
    {true, 0x04},  // P
    {false, 0},    // L
    {false, 0},    // LE
}};

bool is_in_page(std::uint32_t target) { return target < spec::kPageSize; }

/// An instruction that goes on in the next page is found by its linear address alone.
bool may_be_linked(std::uint32_t target) { return target <= spec::kPageSize - ZYDIS_MAX_INSTRUCTION_LENGTH; }

} // namespace

void BlockEmitter::add_link(std::size_t site, std::uint32_t target, std::uint16_t from, bool grouped) {
    const auto number = static_cast<std::uint32_t>(tables_->links.size());
    const bool with_flags = flags_ == Flags::kHost;
    link_stubs_.push_back({site, number, with_flags});
    tables_->links.push_back({.site = const_cast<std::uint8_t*>(getCode()) + site,
                              .page = translation_->page,
                              .target = static_cast<std::uint16_t>(target),
                              .mode = translation_->mode,
                              .grouped = grouped,
                              .with_flags = with_flags,
                              .backward = target <= from});
}

void BlockEmitter::find_jump(bool is_direct) {
    flags_home();
    jumps_.look_up();
    const std::size_t missed = forward_jump(0x0F85); // JNE
    miss_stubs_.push_back({missed, getSize(), offset_, is_direct});
}

void BlockEmitter::emit_miss_stub(const MissStub& stub) {
    resolve(stub.jump);
    jumps_.look_further();
    je(static_cast<const void*>(getCode() + stub.behind));
    if (!stub.is_direct) return leave_by(thunks_.exit_jump_miss, stub.offset);
    jumps_.change_key();
    jump_to_thunk(thunks_.exit_lookup);
}

void BlockEmitter::jump_to_found() {
    jumps_.enter();
    jmp(jumps_.found());
}

void BlockEmitter::go_to(std::uint32_t target, std::uint16_t from) {
    if (may_be_linked(target)) {
        if (flags_ == Flags::kEither) flags_ = Flags::kHome;
        return add_link(forward_jump(0xE9), target, from);
    }
    if (is_in_page(target) || tables_->far_links.is_full()) return go_by_address(target);
    go_far(target);
}

/// To another page. Requests are looked at there.
void BlockEmitter::go_far(std::uint32_t target) {
    flags_home();
    mov(rax, ptr[rsp + o_.rip_base]);
    xor_(rax, ptr[rsp + o_.jump_generation]);
    const auto number = tables_->far_links.next_number();
    cmp(rax, ptr[rsp + far_key(number) + offsetof(FarKey, key)]);
    const std::size_t not_ours = forward_jump(0x0F85); // JNE
    add(qword[rsp + o_.rip_base], target & ~static_cast<std::uint32_t>(spec::kPageSize - 1));
    const std::size_t site = forward_jump(0xE9);
    tables_->far_links.add(const_cast<std::uint8_t*>(getCode()) + site);
    far_stubs_.push_back({not_ours, site, target, number});
}

void BlockEmitter::emit_far_stub(const FarStub& stub) {
    resolve(stub.jump);
    resolve(stub.site);
    mov(eax, stub.target);
    mov(ecx, stub.number);
    jump_to_thunk(thunks_.far_jump);
}

/// Through the jump cache.
void BlockEmitter::go_by_address(std::uint32_t target) {
    flags_home();
    mov(rax, ptr[rsp + o_.rip_base]);
    add(rax, target);
    find_jump(true);
    jump_to_found();
}

void BlockEmitter::jump(const GuestInstruction& i) { go_to(i.target, i.offset); }

void BlockEmitter::jump_if(const GuestInstruction& i) {
    const unsigned condition = i.decoded.info.opcode & kLowNibble;
    unsigned jump_opcode = 0x0F80 | condition;
    const FlagBits& bits = kConditionBits[condition / 2];
    if (flags_ == Flags::kHome && bits.mask != 0) {
        test(byte[rsp + o_.status + (bits.upper_byte ? 1 : 0)], bits.mask);
        jump_opcode = (condition & 1) != 0 ? 0x0F84 : 0x0F85; // JZ, JNZ
    } else {
        flags_host();
    }
    if (may_be_linked(i.target)) return add_link(forward_jump(jump_opcode), i.target, i.offset);
    const std::size_t not_taken = forward_jump(jump_opcode ^ 1);
    const Flags flags = flags_;
    const auto groups = pointer_groups_;
    go_to(i.target, i.offset);
    flags_ = flags;
    pointer_groups_ = groups;
    resolve(not_taken);
}

void BlockEmitter::load_target(const GuestInstruction& i) {
    if (i.has_access) {
        const Place from = open(i.access, Pointer::kScratch);
        mov(rax, ptr[at(from)]);
        return;
    }
    const auto guest = general_number(i.operand(0));
    mov(rax, Reg64(in_register(guest, kHostRax)));
}

void BlockEmitter::jump_indirect(const GuestInstruction& i) {
    flags_home();
    load_target(i);
    find_jump(false);
    jump_to_found();
}

void BlockEmitter::call_direct(const GuestInstruction& i) {
    const Place place = open(i.second_access);
    mov(rcx, ptr[rsp + o_.rip_base]);
    Xbyak::CodeGenerator::lea(rcx, ptr[rcx + i.next_offset()]);
    may_fault();
    mov(ptr[at(place)], rcx);
    move_stack_pointer(-8);
    // Called code must look at requests, or recursion would never do.
    go_to(i.target, is_in_page(i.target) ? static_cast<std::uint16_t>(spec::kPageSize) : i.offset);
}

void BlockEmitter::call_indirect(const GuestInstruction& i) {
    flags_home();
    const Place place = open(i.second_access, Pointer::kOwn);
    load_target(i);
    find_jump(false);
    mov(rcx, jumps_.found());
    mov(ptr[rsp + o_.jump_code], rcx);
    mov(rcx, ptr[rsp + o_.rip_base]);
    Xbyak::CodeGenerator::lea(rcx, ptr[rcx + i.next_offset()]);
    may_fault();
    mov(ptr[at(place)], rcx);
    move_stack_pointer(-8);
    jumps_.enter();
    jmp(ptr[rsp + o_.jump_code]);
}

void BlockEmitter::return_near(const GuestInstruction& i) {
    flags_home();
    const Place place = open(i.access);
    mov(rax, ptr[at(place)]);
    find_jump(false);
    const auto& o = i.operand(0);
    const bool drops = o.type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
    move_stack_pointer(8 + (drops ? static_cast<std::uint16_t>(o.imm.value.u) : 0));
    jump_to_found();
}

} // namespace touka::cpu::translator
