#include "cpu/translator/instruction_memo.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "cpu/translator/classification.hpp"
#include "cpu/translator/guest_block.hpp"
#include "spec/address.hpp"

namespace touka::cpu::translator {
namespace {

class Memo : public testing::Test {
protected:
    const GuestBlock& decode(const std::vector<std::uint8_t>& code, std::uint16_t offset, bool supervisor,
                             InstructionMemo* memo) {
        bytes_.fill(0xCC);
        std::ranges::copy(code, bytes_.begin() + offset);
        static_cast<void>(decode_guest_block(bytes_, offset, supervisor, true, *block_, memo));
        return *block_;
    }

    InstructionMemo memo_;
    std::array<std::uint8_t, spec::kPageSize> bytes_{};
    std::unique_ptr<GuestBlock> block_ = std::make_unique<GuestBlock>();
};

TEST_F(Memo, FindsAnInstructionByItsHeadInItsModeWhereAllOfItIsThere) {
    GuestInstruction i{};
    const std::vector<std::uint8_t> known{0xB8, 1, 2, 3, 4}; // mov eax, 0x04030201
    i = decode(known, 0, false, nullptr).instructions[0];
    memo_.remember(i, false);
    const std::array<std::uint8_t, 6> other{0xB8, 5, 6, 7, 0x88, 9}, another{0xB9, 1, 2, 3, 4, 9};
    ASSERT_TRUE(memo_.recall(other, false, i));
    EXPECT_EQ(i.operand(1).imm.value.s, -0x77F8'F9FB);
    EXPECT_FALSE(memo_.recall(another, false, i));
    EXPECT_FALSE(memo_.recall(std::span(other).first(4), false, i));
    EXPECT_FALSE(memo_.recall(other, true, i));
}

/// Of an instruction, what is made from its bytes; of operands, what they are.
void expect_same(const GuestInstruction& recalled, const GuestInstruction& decoded) {
    EXPECT_EQ(recalled.kind, decoded.kind);
    if (decoded.kind == Kind::kJump || decoded.kind == Kind::kJumpIf || decoded.kind == Kind::kCall) {
        EXPECT_EQ(recalled.target, decoded.target);
    }
    EXPECT_EQ(recalled.flags.reads, decoded.flags.reads);
    EXPECT_EQ(recalled.flags.overwrites, decoded.flags.overwrites);
    EXPECT_EQ(recalled.flags.writes, decoded.flags.writes);
    ASSERT_EQ(recalled.has_access, decoded.has_access);
    if (decoded.has_access || decoded.kind == Kind::kLea) {
        EXPECT_EQ(recalled.access.base, decoded.access.base);
        EXPECT_EQ(recalled.access.index, decoded.access.index);
        EXPECT_EQ(recalled.access.displacement, decoded.access.displacement);
        EXPECT_EQ(recalled.access.size_bytes, decoded.access.size_bytes);
    }
    const auto &now = recalled.decoded.info, &then = decoded.decoded.info;
    ASSERT_EQ(now.length, then.length);
    EXPECT_TRUE(std::equal(recalled.decoded.bytes.begin(), recalled.decoded.bytes.begin() + then.length,
                           decoded.decoded.bytes.begin()));
    EXPECT_EQ(now.mnemonic, then.mnemonic);
    EXPECT_EQ(now.raw.disp.value, then.raw.disp.value);
    EXPECT_EQ(now.raw.imm[0].value.u, then.raw.imm[0].value.u);
    EXPECT_EQ(now.raw.imm[1].value.u, then.raw.imm[1].value.u);
    ASSERT_EQ(now.operand_count, then.operand_count);
    for (std::size_t n = 0; n < then.operand_count; ++n) {
        const auto &o = recalled.operand(n), &wanted = decoded.operand(n);
        ASSERT_EQ(o.type, wanted.type);
        EXPECT_EQ(o.size, wanted.size);
        if (o.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
            EXPECT_EQ(o.imm.value.u, wanted.imm.value.u);
        }
        if (o.type == ZYDIS_OPERAND_TYPE_MEMORY) {
            EXPECT_EQ(o.mem.disp.value, wanted.mem.disp.value);
        }
        if (o.type == ZYDIS_OPERAND_TYPE_REGISTER) {
            EXPECT_EQ(o.reg.value, wanted.reg.value);
        }
    }
}

TEST_F(Memo, WhateverFollowsAHeadIsAsIfItHadBeenDecoded) {
    const std::vector<std::vector<std::uint8_t>> prefixes{
        {}, {0x48}, {0x66}, {0xF2}, {0xF3}, {0x66, 0x41}, {0x67, 0x4C}, {0x65, 0x48}, {0xF0, 0x48}, {0xF2, 0x49}};
    const std::vector<std::vector<std::uint8_t>> maps{
        {}, {0x0F}, {0x0F, 0x38}, {0x0F, 0x3A}, {0xC4, 0xE2, 0x79}, {0xC4, 0xE3, 0x7D}, {0xC5, 0xF9}};
    const std::array<std::uint8_t, 7> forms{0x05, 0x45, 0x84, 0x8D, 0xC1, 0xE3, 0xF8};
    const std::array<std::uint8_t, 9> one{0x24, 0x10, 0x20, 0x30, 0x40, 0x05, 0x06, 0x07, 0x08},
        two{0x24, 0xF8, 0xE1, 0xD2, 0xC3, 0xB4, 0xA5, 0x96, 0x87}, none{0x24, 0, 0, 0, 0, 0, 0, 0, 0};
    int told = 0;
    for (const auto& prefix : prefixes)
        for (const auto& map : maps)
            for (unsigned n = 0; n < 0x100 * forms.size(); ++n) {
                std::vector<std::uint8_t> head = prefix;
                head.insert(head.end(), map.begin(), map.end());
                head.push_back(static_cast<std::uint8_t>(n / forms.size()));
                head.push_back(forms[n % forms.size()]);
                for (const auto& tail : {one, two, none}) {
                    std::vector<std::uint8_t> code = head;
                    code.insert(code.end(), tail.begin(), tail.end());
                    const GuestInstruction wanted = decode(code, 0x40, true, nullptr).instructions[0];
                    if (wanted.decoded.info.length == 0) continue;
                    GuestInstruction known{};
                    if (memo_.recall(std::span(bytes_).subspan(0x40), true, known)) {
                        place(known, 0x40);
                        expect_same(known, wanted);
                        ++told;
                    }
                    memo_.remember(wanted, true);
                }
                ASSERT_FALSE(HasFailure()) << "opcode and ModRM " << testing::PrintToString(head);
            }
    EXPECT_GT(told, 10'000);
}

TEST_F(Memo, AnOperandOutOfReachIsDecodedAnew) {
    const std::vector<std::uint8_t> near{0x48, 0x8B, 0x05, 0x10, 0x00, 0x00, 0x00}, // mov rax, [rip+...]
        far{0x48, 0x8B, 0x05, 0xFF, 0xFF, 0xFF, 0x7F};
    memo_.remember(decode(near, 0, false, nullptr).instructions[0], false);
    GuestInstruction i{};
    EXPECT_TRUE(memo_.recall(near, false, i));
    EXPECT_FALSE(memo_.recall(far, false, i));
}

TEST_F(Memo, JumpsAndAddressesAreThoseOfThePlaceWhereTheInstructionLies) {
    // jz +4; mov rax, [rip+0x10]
    const std::vector<std::uint8_t> code{0x74, 0x04, 0x48, 0x8B, 0x05, 0x10, 0x00, 0x00, 0x00};
    decode(code, 0x100, false, &memo_);
    const GuestBlock& again = decode(code, 0x200, false, &memo_);
    EXPECT_EQ(again.instructions[0].target, 0x206u);
    EXPECT_EQ(again.instructions[1].access.displacement, 0x219);
    EXPECT_EQ(again.instructions[1].offset, 0x202);
}

TEST_F(Memo, AccessesShareChecksAsIfTheyHadBeenDecoded) {
    // mov rax, [rdi]; mov rcx, [rdi+8]
    const std::vector<std::uint8_t> code{0x48, 0x8B, 0x07, 0x48, 0x8B, 0x4F, 0x08};
    for (int turn = 0; turn < 2; ++turn) {
        const GuestBlock& block = decode(code, 0, false, &memo_);
        EXPECT_EQ(block.instructions[0].access.group, block.instructions[1].access.group);
        EXPECT_EQ(block.groups[0].access_count, 2);
    }
}

TEST_F(Memo, ModesDoNotMix) {
    const std::vector<std::uint8_t> code{0x0F, 0x01, 0xF8}; // swapgs
    EXPECT_EQ(decode(code, 0, true, &memo_).instructions[0].kind, Kind::kSwapGs);
    EXPECT_NE(decode(code, 0, false, &memo_).instructions[0].kind, Kind::kSwapGs);
    EXPECT_EQ(decode(code, 0, true, &memo_).instructions[0].kind, Kind::kSwapGs);
}

} // namespace
} // namespace touka::cpu::translator
