#include "cpu/translator/verifier.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cpu/interpreter/program_fixture.hpp"
#include "cpu/interpreter/state_conversion.hpp"
#include "cpu/translator/translation_cache.hpp"
#include "cpu/translator/vcpu_region.hpp"

namespace touka::cpu::translator {
namespace {

using interpreter::ProgramMachine;
using testing::HasSubstr;

constexpr std::uint64_t kCode = ProgramMachine::kCode, kData = ProgramMachine::kData;

/// The test does what translated code would have done, right or wrong.
class VerifierTest : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(interpreter::apply_state(p_, interpreter::capture_state(m_.p)));
        p_.gpr(Gpr::kRax) = 1;
        p_.gpr(Gpr::kRbx) = kData;
        p_.gpr(Gpr::kRcx) = 3;
        // L: mov [rbx],eax; add eax,ecx; cpuid; sub eax,ecx; jne L
        m_.code({0x89, 0x03, 0x01, 0xC8, 0x0F, 0xA2, 0x29, 0xC8, 0x75, 0xF6});
        m_.code({0x03, 0x03, 0xEB, 0x0E}, kLoad);   // add eax,[rbx]; jmp short
        m_.code({0xF7, 0xF1, 0xEB, 0x0E}, kDivide); // div ecx; jmp short
    }
    static constexpr std::uint64_t kLoad = kCode + 0x100, kDivide = kCode + 0x200;

    void rehearse(std::uint64_t rip = kCode) {
        p_.rip = rip;
        verifier_.rehearse(*cache_.find(rip, spec::GuestAddress{rip}, BlockMode::kSupervisor));
    }
    /// Up to CPUID, which is the interpreter's.
    void translate_first_half() {
        m_.poke<std::uint32_t>(kData, 1);
        p_.gpr(Gpr::kRax) = 4;
        p_.regs.status = interpreter::StatusFlags::from_rflags(0);
        p_.rip = kCode + 4;
    }

    ProgramMachine m_;
    std::unique_ptr<VcpuMemory, void (*)(VcpuMemory*)> region_ =
        make_vcpu_memory(*m_.memory, m_.bus, m_.port, m_.p.cpuid);
    interpreter::Processor& p_ = region_->processor;
    AddressSpaces spaces_{*region_};
    TranslationObservers observers_;
    TranslationCache cache_{*region_, spaces_, Callees{}, observers_, 1 << 20};
    Verifier verifier_{p_};
};

TEST_F(VerifierTest, RehearsesWithoutEffect) {
    rehearse();
    EXPECT_EQ(m_.peek<std::uint32_t>(kData), 0u);
    EXPECT_EQ(p_.gpr(Gpr::kRax), 1u);
    EXPECT_EQ(p_.rip, kCode);
}

TEST_F(VerifierTest, AgreesWithAnyInstructionThatTranslatedCodeStopsAt) {
    rehearse();
    EXPECT_TRUE(verifier_.agrees(Arrival::kAtInstruction)); // nothing done
    rehearse();
    translate_first_half();
    EXPECT_TRUE(verifier_.agrees(Arrival::kAtInstruction));
    EXPECT_EQ(verifier_.counters().blocks, 2u);
    EXPECT_EQ(verifier_.counters().instructions, 2u);
}

TEST_F(VerifierTest, ShowsARegisterThatDiffers) {
    rehearse();
    translate_first_half();
    p_.gpr(Gpr::kRax) = 5;
    EXPECT_FALSE(verifier_.agrees(Arrival::kAtInstruction));
    EXPECT_THAT(verifier_.report(), HasSubstr("* rax         0000000000000001  0000000000000004  0000000000000005"));
    EXPECT_THAT(verifier_.report(), HasSubstr("add eax, ecx"));
    EXPECT_THAT(verifier_.report(), HasSubstr("host code:"));
    EXPECT_THAT(verifier_.report(), testing::Not(HasSubstr("* memory")));
}

TEST_F(VerifierTest, ShowsFlagsThatDiffer) {
    rehearse();
    translate_first_half();
    p_.regs.status = interpreter::StatusFlags::from_rflags(0x40);
    EXPECT_FALSE(verifier_.agrees(Arrival::kAtInstruction));
    EXPECT_THAT(verifier_.report(), HasSubstr("* rflags"));
}

TEST_F(VerifierTest, ShowsMemoryThatDiffers) {
    rehearse();
    translate_first_half();
    m_.poke<std::uint8_t>(kData, 7);
    EXPECT_FALSE(verifier_.agrees(Arrival::kAtInstruction));
    EXPECT_THAT(verifier_.report(), HasSubstr("* memory at physical 100000: interpreter 01, translator 07"));
}

TEST_F(VerifierTest, ShowsThatControlWentElsewhere) {
    rehearse(kLoad);
    p_.rip = kLoad + 0x20;
    EXPECT_FALSE(verifier_.agrees(Arrival::kByJump));
    EXPECT_THAT(verifier_.report(), HasSubstr("* rip"));
    rehearse(kLoad);
    p_.rip = kLoad + 0x20;
    EXPECT_FALSE(verifier_.agrees(Arrival::kAtInstruction));
    EXPECT_THAT(verifier_.report(), HasSubstr("did not reach"));
}

TEST_F(VerifierTest, ShowsThatAnExceptionWasMissed) {
    p_.gpr(Gpr::kRcx) = 0;
    rehearse(kDivide);
    p_.rip = kDivide + 0x12;
    EXPECT_FALSE(verifier_.agrees(Arrival::kByJump));
    EXPECT_THAT(verifier_.report(), HasSubstr("exception 0"));
}

TEST_F(VerifierTest, ComparesTheRestBehindAnInstructionOfTheInterpreters) {
    rehearse();
    translate_first_half();
    ASSERT_TRUE(verifier_.agrees(Arrival::kAtInstruction));
    p_.gpr(Gpr::kRax) = 10; // as CPUID may say
    p_.gpr(Gpr::kRcx) = 9;
    p_.rip = kCode + 6;
    verifier_.rehearse_rest();
    EXPECT_EQ(verifier_.destination(), kCode);
    p_.gpr(Gpr::kRax) = 1;
    p_.regs.status = interpreter::StatusFlags::from_rflags(0);
    p_.rip = kCode;
    EXPECT_TRUE(verifier_.agrees(Arrival::kByJump)) << verifier_.report();
}

TEST_F(VerifierTest, DoesNotCompareBehindAnInstructionOfTheInterpreters) {
    rehearse();
    EXPECT_EQ(verifier_.destination(), std::nullopt);
    p_.gpr(Gpr::kRax) = 77;
    EXPECT_TRUE(verifier_.agrees(Arrival::kByJump));
    EXPECT_EQ(verifier_.counters().not_compared, 1u);
}

TEST_F(VerifierTest, CountsADifferenceAsDisturbedWhenMemoryChangedMeanwhile) {
    rehearse(kLoad);
    m_.poke<std::uint32_t>(kData, 8);
    p_.gpr(Gpr::kRax) = 9;
    p_.rip = kLoad + 0x12;
    EXPECT_TRUE(verifier_.agrees(Arrival::kByJump));
    EXPECT_EQ(verifier_.counters().disturbed, 1u);
}

TEST_F(VerifierTest, ComparesNothingWithoutARehearsal) {
    EXPECT_TRUE(verifier_.agrees(Arrival::kByJump));
    EXPECT_EQ(verifier_.counters().blocks, 0u);
}

} // namespace
} // namespace touka::cpu::translator
