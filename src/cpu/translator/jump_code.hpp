// The host code that finds a jump's target in the jump cache, for blocks and for the thunk of far jumps.
#pragma once

#include <xbyak/xbyak.h>

#include <cstddef>
#include <cstdint>

#include "cpu/translator/jump_cache.hpp"
#include "cpu/translator/register_map.hpp"
#include "cpu/translator/thunks.hpp"
#include "spec/address.hpp"

namespace touka::cpu::translator {

/// Pieces to be emitted in this order. All change EFLAGS: the guest's status flags are at home.
class JumpCode {
public:
    JumpCode(Xbyak::CodeGenerator& code, const FrameOffsets& offsets) : c_(code), o_(offsets) {}

    /// RAX: linear address. Leaves its key there, and twice the number of its slot in RCX. ZF: it is known.
    void look_up() {
        static_assert(sizeof(JumpSlot) == 2 * 8);
        c_.lea(c_.ecx, c_.ptr[c_.rax + c_.rax]);
        c_.and_(c_.ecx, static_cast<std::uint32_t>(2 * (kJumpCacheEntries - 1)));
        change_key();
        compare();
    }
    /// It was not: in the second slot. ZF likewise.
    void look_further() {
        c_.xor_(c_.ecx, static_cast<std::uint32_t>(2 * kSecondJumpSlot));
        compare();
    }
    /// Between key and linear address, in RAX.
    void change_key() { c_.xor_(c_.rax, c_.ptr[c_.rsp + o_.jump_generation]); }
    /// The address that was found becomes the running one, and is in RAX. Clobbers a pointer register.
    void enter() {
        const Xbyak::Reg64 page(kHostPointers[0]);
        change_key();
        c_.mov(page, c_.rax);
        c_.and_(page, ~static_cast<std::uint32_t>(spec::kPageSize - 1));
        c_.mov(c_.ptr[c_.rsp + o_.rip_base], page);
    }
    /// Where the code that was found is told, while RCX is as it was.
    [[nodiscard]] Xbyak::Address found() const { return slot(offsetof(JumpSlot, code)); }

private:
    [[nodiscard]] Xbyak::Address slot(std::size_t member) const {
        return c_.ptr[c_.rsp + c_.rcx * 8 + o_.jumps + member];
    }
    void compare() { c_.cmp(c_.rax, slot(offsetof(JumpSlot, key))); }

    Xbyak::CodeGenerator& c_;
    const FrameOffsets& o_;
};

} // namespace touka::cpu::translator
