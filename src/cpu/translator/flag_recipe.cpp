#include "cpu/translator/flag_recipe.hpp"

namespace touka::cpu::translator {
namespace {

using Maker = FlagRecipe::Maker;
using interpreter::StatusFlags;

bool is_whole_register(const ZydisDecodedOperand& o) {
    return general_number(o) != kNoRegister && !is_high_byte(o.reg.value);
}

Maker maker_of(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_CMP: return Maker::kCompare;
        case ZYDIS_MNEMONIC_TEST: return Maker::kTest;
        case ZYDIS_MNEMONIC_AND:
        case ZYDIS_MNEMONIC_OR:
        case ZYDIS_MNEMONIC_XOR: return Maker::kLogic;
        case ZYDIS_MNEMONIC_ADD: return Maker::kAdd;
        case ZYDIS_MNEMONIC_SUB: return Maker::kSubtract;
        case ZYDIS_MNEMONIC_NEG: return Maker::kNegate;
        default: return Maker::kNone;
    }
}

bool needs_source(Maker maker) {
    return maker == Maker::kCompare || maker == Maker::kTest || maker == Maker::kAdd || maker == Maker::kSubtract;
}

/// The host's own flags, in the form that LAHF and SETO give.
template <typename T>
StatusFlags flags_of(Maker maker, T result, T source) {
    std::uint16_t packed = 0;
    switch (maker) {
        case Maker::kCompare:
            asm("cmp %2, %1; lahf; seto %%al" : "=&a"(packed) : "q"(result), "q"(source) : "cc");
            break;
        case Maker::kTest: asm("test %2, %1; lahf; seto %%al" : "=&a"(packed) : "q"(result), "q"(source) : "cc"); break;
        case Maker::kAdd: {
            T before = static_cast<T>(result - source);
            asm("add %2, %1; lahf; seto %%al" : "=&a"(packed), "+q"(before) : "q"(source) : "cc");
            break;
        }
        case Maker::kSubtract: {
            T before = static_cast<T>(result + source);
            asm("sub %2, %1; lahf; seto %%al" : "=&a"(packed), "+q"(before) : "q"(source) : "cc");
            break;
        }
        case Maker::kNegate: {
            T before = static_cast<T>(T{0} - result);
            asm("neg %1; lahf; seto %%al" : "=&a"(packed), "+q"(before) : : "cc");
            break;
        }
        case Maker::kLogic:
        case Maker::kNone: asm("test %1, %1; lahf; seto %%al" : "=&a"(packed) : "q"(result) : "cc"); break;
    }
    return {packed};
}

} // namespace

FlagRecipe flag_recipe(const GuestInstruction& i) {
    const auto &to = i.operand(0), &from = i.operand(1);
    const Maker maker = maker_of(i.decoded.info.mnemonic);
    if (i.kind != Kind::kCopied || maker == Maker::kNone || !is_whole_register(to)) return {};
    FlagRecipe recipe{
        .maker = maker, .width_bytes = static_cast<std::uint8_t>(to.size / 8), .result = general_number(to)};
    if (!needs_source(maker)) return recipe;
    if (from.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        recipe.constant = static_cast<std::int32_t>(from.imm.value.s);
        return recipe;
    }
    if (!is_whole_register(from)) return {};
    recipe.source = general_number(from);
    const bool source_is_gone = (maker == Maker::kAdd || maker == Maker::kSubtract) && recipe.source == recipe.result;
    return source_is_gone ? FlagRecipe{} : recipe;
}

bool spoils(const GuestInstruction& i, const FlagRecipe& recipe) {
    return writes_either(i, recipe.result, recipe.source);
}

StatusFlags follow(const FlagRecipe& recipe, const std::array<std::uint64_t, 16>& gpr) {
    const std::uint64_t result = gpr[recipe.result];
    const std::uint64_t source =
        recipe.source == kNoRegister ? static_cast<std::uint64_t>(std::int64_t{recipe.constant}) : gpr[recipe.source];
    const auto sized = [&]<typename T>(T) {
        return flags_of<T>(recipe.maker, static_cast<T>(result), static_cast<T>(source));
    };
    switch (recipe.width_bytes) {
        case 1: return sized(std::uint8_t{});
        case 2: return sized(std::uint16_t{});
        case 4: return sized(std::uint32_t{});
        default: return sized(std::uint64_t{});
    }
}

} // namespace touka::cpu::translator
