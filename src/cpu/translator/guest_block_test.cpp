#include "cpu/translator/guest_block.hpp"

#include <gtest/gtest.h>
#include <xbyak/xbyak.h>

#include <algorithm>
#include <array>
#include <memory>
#include <span>

#include "spec/address.hpp"

namespace touka::cpu::translator {
namespace {

using namespace Xbyak::util;
using Assembler = Xbyak::CodeGenerator;

class Block : public testing::Test {
protected:
    /// Decodes what write(Assembler&) assembles at `offset`; NOPs around it.
    DecodeResult decode(auto&& write, std::uint16_t offset = 0, bool grouped = true) {
        Assembler c;
        write(c);
        bytes_.fill(0x90);
        std::copy_n(c.getCode(), std::min(c.getSize(), bytes_.size() - offset), bytes_.begin() + offset);
        return decode_guest_block(std::span(bytes_).first(spec::kPageSize), offset, true, grouped, *block_);
    }
    [[nodiscard]] const MemoryAccess& access(std::size_t n) const { return block_->instructions[n].access; }
    [[nodiscard]] bool together(std::size_t a, std::size_t b) const { return access(a).group == access(b).group; }

    std::array<std::uint8_t, 2 * spec::kPageSize> bytes_{};
    std::unique_ptr<GuestBlock> block_ = std::make_unique<GuestBlock>();
};

TEST_F(Block, EndsWithAJump) {
    decode([](Assembler& c) {
        c.inc(eax);
        c.jmp(c.getCurr() + 0x40);
        c.inc(eax);
    });
    EXPECT_EQ(block_->count, 2u);
    EXPECT_FALSE(block_->ends_open);
}

TEST_F(Block, GoesOnBehindABranch) {
    decode([](Assembler& c) {
        c.jz(c.getCurr() + 0x40);
        c.ret();
    });
    EXPECT_EQ(block_->count, 2u);
}

TEST_F(Block, EndsWithWhatIsNotTranslated) {
    decode([](Assembler& c) {
        c.inc(eax);
        c.db(0xF4); // hlt
        c.inc(eax);
    });
    EXPECT_EQ(block_->count, 2u);
    EXPECT_EQ(block_->instructions[1].kind, Kind::kTransferred);
    EXPECT_FALSE(block_->ends_open);
}

TEST_F(Block, EndsOpenAtItsLimitAndAtTheEndOfThePage) {
    decode([](Assembler&) {});
    EXPECT_EQ(block_->count, GuestBlock::kMaxInstructions);
    EXPECT_TRUE(block_->ends_open);
    decode([](Assembler&) {}, 0xFFE);
    EXPECT_EQ(block_->count, 2u);
    EXPECT_TRUE(block_->ends_open);
    EXPECT_FALSE(block_->meets_crossing);
}

TEST_F(Block, EndsBehindTheInstructionAfterStiToLookAtRequests) {
    decode([](Assembler& c) {
        c.db(0xFB); // sti
        c.inc(eax);
        c.inc(eax);
    });
    EXPECT_EQ(block_->count, 2u);
    EXPECT_TRUE(block_->ends_open && block_->ends_polled);
}

TEST_F(Block, LeavesAnInstructionThatCrossesThePageToABlockOfItsOwn) {
    const auto crossing = [](Assembler& c) {
        c.nop();
        c.mov(eax, 0x1234'5678);
    };
    EXPECT_EQ(decode(crossing, 0xFFC), DecodeResult::kDone);
    EXPECT_EQ(block_->count, 1u);
    EXPECT_TRUE(block_->meets_crossing);
    EXPECT_EQ(decode_guest_block(std::span(bytes_).first(spec::kPageSize), 0xFFD, true, true, *block_),
              DecodeResult::kNeedsNextPage);
    EXPECT_EQ(decode_guest_block(bytes_, 0xFFD, true, true, *block_), DecodeResult::kDone);
    EXPECT_EQ(block_->count, 1u);
    EXPECT_TRUE(block_->crosses);
    EXPECT_EQ(block_->end_offset(), 0x1002);
}

TEST_F(Block, ChecksAccessesThroughOneRegisterTogether) {
    decode([](Assembler& c) {
        c.mov(rax, c.qword[rdi + 8]);
        c.mov(c.dword[rdi + 24], ecx);
        c.ret();
    });
    ASSERT_TRUE(together(0, 1));
    const AccessGroup& group = block_->groups[access(0).group];
    EXPECT_EQ(group.low, 8);
    EXPECT_EQ(group.high, 28);
    EXPECT_EQ(group.access_count, 2u);
}

TEST_F(Block, FollowsABaseThatMovesByConstants) {
    decode([](Assembler& c) {
        c.mov(rax, c.qword[rsi]);
        c.add(rsi, 16);
        c.mov(rax, c.qword[rsi]);
        c.lea(rsi, c.ptr[rsi - 8]);
        c.mov(rax, c.qword[rsi]);
        c.ret();
    });
    EXPECT_TRUE(together(0, 2) && together(0, 4));
    EXPECT_EQ(access(2).group_offset, 16);
    EXPECT_EQ(access(4).group_offset, 8);
}

TEST_F(Block, FollowsTheStackThroughPushAndPop) {
    decode([](Assembler& c) {
        c.push(rax);
        c.push(rbx);
        c.mov(rcx, c.qword[rsp + 8]);
        c.pop(rdx);
        c.ret();
    });
    const auto& pushes = block_->instructions;
    EXPECT_EQ(pushes[0].second_access.group_offset, -8);
    EXPECT_EQ(pushes[1].second_access.group_offset, -16);
    EXPECT_EQ(access(2).group_offset, -8);
    EXPECT_EQ(access(3).group_offset, -16);
    EXPECT_EQ(access(2).group, pushes[0].second_access.group);
}

TEST_F(Block, FollowsIndicesAsTheyAreScaled) {
    decode([](Assembler& c) {
        c.mov(rax, c.qword[rdi + rcx * 8]);
        c.inc(rcx);
        c.mov(rax, c.qword[rdi + rcx * 8 + 8]);
        c.mov(rax, c.qword[rdi + rcx * 4]);
        c.mov(rax, c.qword[rsi + rcx * 8]);
        c.mov(ecx, edx);
        c.mov(rax, c.qword[rdi + rcx * 8]);
        c.ret();
    });
    EXPECT_TRUE(together(0, 2));
    EXPECT_EQ(access(2).group_offset, 16);
    EXPECT_FALSE(together(2, 3));
    EXPECT_FALSE(together(2, 4));
    EXPECT_FALSE(together(2, 6));
}

TEST_F(Block, BeginsAnewWhenTheBaseIsWritten) {
    decode([](Assembler& c) {
        c.mov(rax, c.qword[rdi]);
        c.mov(edi, c.dword[rdi + 8]);
        c.mov(rax, c.qword[rdi]);
        c.add(rdi, rax);
        c.mov(rax, c.qword[rdi]);
        c.add(edi, 8); // clears the upper half
        c.mov(rax, c.qword[rdi]);
        c.ret();
    });
    EXPECT_TRUE(together(0, 1));
    EXPECT_FALSE(together(1, 2));
    EXPECT_FALSE(together(2, 4));
    EXPECT_FALSE(together(4, 6));
}

TEST_F(Block, ChecksApartWhatLiesFarApartAndWhatIsNotAConstantAway) {
    decode([](Assembler& c) {
        c.mov(rax, c.qword[rdi]);
        c.mov(rax, c.qword[rdi + GuestBlock::kMaxGroupBytes - 7]);
        c.mov(rax, c.qword[rdi + rcx]);
        c.ret();
    });
    EXPECT_FALSE(together(0, 1));
    EXPECT_FALSE(together(0, 2));
    decode(
        [](Assembler& c) {
            c.mov(rax, c.qword[rdi]);
            c.mov(rax, c.qword[rdi + 8]);
            c.ret();
        },
        0, false);
    EXPECT_EQ(access(0).group, MemoryAccess::kNoGroup);
    EXPECT_EQ(block_->group_count, 0u);
}

} // namespace
} // namespace touka::cpu::translator
