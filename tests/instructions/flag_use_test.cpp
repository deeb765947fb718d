// What the translator believes of an instruction's flags, held against the bare host: each form with all status flags
// clear and with all set.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "cpu/translator/guest_block.hpp"
#include "instructions/case_maker.hpp"
#include "instructions/comparison.hpp"
#include "instructions/suite_fixture.hpp"

namespace touka::tests::instructions {
namespace {

using cpu::translator::FlagUse;
using cpu::translator::GuestBlock;

constexpr std::uint64_t kStatus = 0x8D5, kCarry = 1;
constexpr unsigned kRunsEach = 6, kBreakpoint = 3;

class FlagUseTest : public testing::Test {
protected:
    [[nodiscard]] FlagUse use_of(const Case& test) {
        std::vector<std::uint8_t> page(kPageBytes);
        std::ranges::copy(test.bytes, page.begin());
        static_cast<void>(cpu::translator::decode_guest_block(page, 0, false, true, *block_));
        return block_->instructions[0].flags;
    }
    /// @return whether the instruction completed.
    bool run(Case test, std::uint64_t flags, Result& result) {
        test.before.rflags = (test.before.rflags & ~kStatus) | flags;
        std::ranges::copy(test.bytes, test.memory.at(kEntry));
        host_.run(test, result);
        return result.vector == kBreakpoint && host_.is_telling(test, result);
    }
    void expect_equal(Case test, const std::string& claim, std::uint64_t but_for) {
        test.ignored_flags |= but_for;
        const std::string found = differences(test, clear_, set_);
        EXPECT_EQ(found, "") << claim << describe(test);
    }
    void check(const Case& test) {
        const FlagUse use = use_of(test);
        if (!run(test, 0, clear_) || !run(test, use.reads_carry_only ? kStatus & ~kCarry : kStatus, set_)) return;
        if (use.reads_carry_only || (use.overwrites && !use.reads))
            expect_equal(test, "depends on flags that it is said to overwrite:", 0);
        else if (!use.reads)
            expect_equal(test, "depends on flags:", kStatus);
        if (use.writes) return;
        EXPECT_EQ(clear_.after.rflags & kStatus, 0u) << "writes flags:" << describe(test);
        EXPECT_EQ(set_.after.rflags & kStatus, kStatus) << "writes flags:" << describe(test);
    }

    HostExecutor host_;
    Result clear_, set_;
    std::unique_ptr<GuestBlock> block_ = std::make_unique<GuestBlock>();
};

TEST_F(FlagUseTest, IsWhatTheHostDoes) {
    for (const Form& form : enumerate_forms()) {
        if (form.encoding.compat) continue;
        Random random(std::hash<std::string>{}(form.key));
        const Memory memory = random_memory(random);
        for (unsigned n = 0; n < kRunsEach; ++n)
            if (const auto test = make_case(form, memory, 0, Placement::kAligned, random)) check(*test);
    }
}

} // namespace
} // namespace touka::tests::instructions
