#include "cpu/translator/instruction_memo.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

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

TEST_F(Memo, FindsAnInstructionByAllOfItsBytes) {
    GuestInstruction i{};
    i.decoded.info.length = 5;
    std::ranges::copy(std::array<std::uint8_t, 5>{0xB8, 1, 2, 3, 4}, i.decoded.bytes.begin());
    memo_.remember(i, false);
    const std::array<std::uint8_t, 6> same{0xB8, 1, 2, 3, 4, 9}, other{0xB8, 1, 2, 3, 5, 9};
    EXPECT_NE(memo_.find(same, false), nullptr);
    EXPECT_EQ(memo_.find(other, false), nullptr);
    EXPECT_EQ(memo_.find(std::span(same).first(4), false), nullptr);
    EXPECT_EQ(memo_.find(same, true), nullptr);
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
