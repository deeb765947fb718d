// The sixteen conditions of Jcc, CMOVcc and SETcc. (AMD64 APM vol. 3 rev. 3.36 §1.2.6, table 1-11)
#pragma once

#include <Zydis/Zydis.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "cpu/interpreter/register_file.hpp"

namespace touka::cpu::interpreter {

/// In the order of the opcodes' low four bits; an odd one is the even one before it negated.
enum class Condition : std::uint8_t { kO, kNo, kB, kNb, kZ, kNz, kBe, kNbe, kS, kNs, kP, kNp, kL, kNl, kLe, kNle };

template <Condition C>
[[nodiscard, gnu::always_inline]] inline bool holds(StatusFlags status) {
    const std::uint32_t f = status.packed;
    const bool less = (((f >> 15) ^ f) & 1) != 0; // SF != OF
    constexpr auto kNumber = static_cast<unsigned>(C);
    bool even = false;
    switch (static_cast<Condition>(kNumber & ~1u)) {
        case Condition::kO: even = (f & StatusFlags::kOF) != 0; break;
        case Condition::kB: even = (f & StatusFlags::kCF) != 0; break;
        case Condition::kZ: even = (f & StatusFlags::kZF) != 0; break;
        case Condition::kBe: even = (f & (StatusFlags::kCF | StatusFlags::kZF)) != 0; break;
        case Condition::kS: even = (f & StatusFlags::kSF) != 0; break;
        case Condition::kP: even = (f & StatusFlags::kPF) != 0; break;
        case Condition::kL: even = less; break;
        default: even = less || (f & StatusFlags::kZF) != 0; break;
    }
    return even != ((kNumber & 1) != 0);
}

/// Calls enter.operator()<Condition>(its place in the order of the opcodes) for all sixteen.
void for_each_condition(auto enter) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        (enter.template operator()<static_cast<Condition>(I)>(I), ...);
    }(std::make_index_sequence<16>{});
}

using ConditionMnemonics = std::array<ZydisMnemonic, 16>;

} // namespace touka::cpu::interpreter
