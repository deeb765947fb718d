// Where the guest's status flags are.
#include <algorithm>
#include <cassert>
#include <span>

#include "cpu/translator/block_emitter.hpp"

namespace touka::cpu::translator {
namespace {

/// Neither leaves nor touches flags but as its FlagUse says, but for where its memory operands fault.
bool is_plain(const GuestInstruction& i) {
    switch (i.kind) {
        case Kind::kCopied: return !i.uses_x87;
        case Kind::kNothing:
        case Kind::kLea:
        case Kind::kPush:
        case Kind::kPop:
        case Kind::kLeave:
        case Kind::kCompareExchange:
        case Kind::kSignExtend: return true;
        default: return false;
    }
}

/// Between registers, and cannot fault.
bool computes_only(const GuestInstruction& i) {
    switch (i.kind) {
        case Kind::kCopied: return !i.uses_x87;
        case Kind::kNothing:
        case Kind::kLea:
        case Kind::kSignExtend:
        case Kind::kShiftByCl: return true;
        case Kind::kMultiplyDivide:
            return i.decoded.info.mnemonic == ZYDIS_MNEMONIC_MUL || i.decoded.info.mnemonic == ZYDIS_MNEMONIC_IMUL;
        default: return false;
    }
}

} // namespace

void BlockEmitter::save_flags() { put(save_flags_.bytes()); }

void BlockEmitter::flags_home() {
    if (flags_ == Flags::kHost) save_flags();
    assert(flags_ != Flags::kLost); // nothing that wants them comes before they are overwritten
    flags_ = Flags::kHome;
}

void BlockEmitter::flags_safe() {
    if (flags_ == Flags::kLost) return;
    if (flags_ == Flags::kHost && may_lose_flags())
        flags_ = Flags::kLost;
    else
        flags_home();
}

bool BlockEmitter::may_lose_flags() const {
    if (!flag_recipe_) return false;
    const auto spoils_it = [this](const GuestInstruction& i) { return spoils(i, flag_recipe_); };
    const auto instructions = std::span(block_->instructions).first(block_->count);
    if (std::ranges::any_of(instructions.subspan(flag_maker_ + 1, index_ - (flag_maker_ + 1)), spoils_it)) return false;
    for (const GuestInstruction& i : instructions.subspan(index_)) {
        if (!is_plain(i) || i.flags.reads) return false;
        if (i.flags.overwrites) return true;
        if (spoils_it(i)) return false;
    }
    return false;
}

/// What follow() in flag_recipe.hpp does, as code.
void BlockEmitter::follow_recipe(const FlagRecipe& recipe) {
    const auto sized = [&](const Xbyak::Reg64& reg) -> Xbyak::Reg {
        switch (recipe.width_bytes) {
            case 1: return reg.cvt8();
            case 2: return reg.cvt16();
            case 4: return reg.cvt32();
            default: return reg;
        }
    };
    const Xbyak::Reg result = sized(rax), source = sized(rcx);
    mov(rax, Xbyak::Reg64(in_register(recipe.result, kHostRax)));
    if (recipe.source == kNoRegister)
        mov(rcx, static_cast<std::uint64_t>(std::int64_t{recipe.constant}));
    else
        mov(rcx, Xbyak::Reg64(in_register(recipe.source, kHostRcx)));
    switch (recipe.maker) {
        case FlagRecipe::Maker::kCompare: cmp(result, source); break;
        case FlagRecipe::Maker::kTest: test(result, source); break;
        case FlagRecipe::Maker::kAdd:
            sub(result, source);
            add(result, source);
            break;
        case FlagRecipe::Maker::kSubtract:
            add(result, source);
            sub(result, source);
            break;
        case FlagRecipe::Maker::kNegate:
            neg(result);
            neg(result);
            break;
        case FlagRecipe::Maker::kLogic:
        case FlagRecipe::Maker::kNone: test(result, result); break;
    }
    save_flags();
}

void BlockEmitter::flags_host() {
    if (flags_ == Flags::kHome) {
        // AL is 1 or 0: the sum overflows or does not.
        movzx(eax, word[rsp + o_.status]);
        add(al, 0x7F);
        sahf();
    }
    flags_ = Flags::kHost;
}

bool BlockEmitter::die_unseen() const {
    for (std::size_t n = index_ + 1; n < block_->count; ++n) {
        const GuestInstruction& i = block_->instructions[n];
        if (i.has_access || i.has_second_access || !computes_only(i)) return false;
        if (i.flags.overwrites) return !opens_ahead(i, following(n)); // the check would come first
        if (i.flags.reads && !i.flags.passes_on) return false;
    }
    return false;
}

bool BlockEmitter::needs_flags() const {
    const FlagUse& use = block_->instructions[index_].flags;
    return flags_ == Flags::kHome && use.reads && !use.reads_carry_only && !(use.passes_on && die_unseen());
}

void BlockEmitter::bring_flags() {
    if (needs_flags()) flags_host();
    flags_ = Flags::kHost;
}

void BlockEmitter::carry_host() {
    constexpr std::uint8_t kCarryBit = 8;
    static_assert(interpreter::StatusFlags::kCF == 1u << kCarryBit);
    if (flags_ == Flags::kHome) bt(word[rsp + o_.status], kCarryBit);
}

} // namespace touka::cpu::translator
