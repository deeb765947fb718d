// An interpreter's inner loop: one indirect jump an instruction, whose target depends on data.
#include <array>

#include "workloads.hpp"

namespace touka::bench {

namespace {

enum class Opcode : std::uint8_t {
    kSet,
    kAdd,
    kAddImmediate,
    kAnd,
    kShiftRight,
    kTriple,
    kJumpIfZero,
    kJumpIfLess,
    kStop
};

// A register machine: `left` and `right` name registers, `immediate` is a constant or where a jump goes.
struct Instruction {
    Opcode opcode;
    std::uint8_t left;
    std::uint8_t right;
    std::int32_t immediate;
};

using Registers = std::array<std::uint64_t, 8>;

// Adds up how many steps the Collatz sequences of 1 .. limit-1 take.
constexpr std::uint8_t kNumber = 0;
constexpr std::uint8_t kValue = 1;
constexpr std::uint8_t kSteps = 2;
constexpr std::uint8_t kParity = 3;
constexpr std::uint8_t kLimit = 4;
constexpr std::uint8_t kTwo = 5;
constexpr auto kCollatz = std::to_array<Instruction>({
    {Opcode::kSet, kNumber, 0, 1},
    {Opcode::kSet, kTwo, 0, 2},
    {Opcode::kSet, kValue, 0, 0}, // 2: the next number
    {Opcode::kAdd, kValue, kNumber, 0},
    {Opcode::kJumpIfLess, kValue, kTwo, 13}, // 4: the next step
    {Opcode::kAddImmediate, kSteps, 0, 1},
    {Opcode::kSet, kParity, 0, 1},
    {Opcode::kAnd, kParity, kValue, 0},
    {Opcode::kJumpIfZero, kParity, 0, 11},
    {Opcode::kTriple, kValue, 0, 1},
    {Opcode::kJumpIfLess, kNumber, kLimit, 4},
    {Opcode::kShiftRight, kValue, 0, 1},
    {Opcode::kJumpIfLess, kNumber, kLimit, 4},
    {Opcode::kAddImmediate, kNumber, 0, 1},
    {Opcode::kJumpIfLess, kNumber, kLimit, 2},
    {Opcode::kStop, 0, 0, 0},
});

void execute(std::span<const Instruction> program, Registers& registers) {
    for (std::size_t at = 0;;) {
        const Instruction& instruction = program[at++];
        std::uint64_t& left = registers[instruction.left];
        const std::uint64_t right = registers[instruction.right];
        const auto immediate = static_cast<std::uint64_t>(instruction.immediate);
        switch (instruction.opcode) {
            case Opcode::kSet: left = immediate; break;
            case Opcode::kAdd: left += right; break;
            case Opcode::kAddImmediate: left += immediate; break;
            case Opcode::kAnd: left &= right; break;
            case Opcode::kShiftRight: left >>= immediate; break;
            case Opcode::kTriple: left = 3 * left + immediate; break;
            case Opcode::kJumpIfZero: at = left == 0 ? immediate : at; break;
            case Opcode::kJumpIfLess: at = left < right ? immediate : at; break;
            case Opcode::kStop: return;
        }
    }
}

} // namespace

Answer bytecode(Trial& trial) {
    Registers registers{};
    registers[kLimit] = 1 + trial.amount(60'000);
    execute(kCollatz, registers);
    Answer answer;
    answer.add(registers[kSteps]);
    return answer;
}

} // namespace touka::bench
