#include "cpu/interpreter/fast_system_call.hpp"

#include <gtest/gtest.h>

#include "cpu/interpreter/processor_fixture.hpp"

namespace touka::cpu::interpreter {
namespace {

using namespace spec::x86;
using Vendor = ProcessorModel::Vendor;
using FaultOf = std::pair<unsigned, std::uint32_t>;

constexpr std::initializer_list<std::uint8_t> kSyscall{0x0F, 0x05}, kSysretq{0x48, 0x0F, 0x07}, kSysretl{0x0F, 0x07},
    kSysenter{0x0F, 0x34}, kSysexitq{0x48, 0x0F, 0x35}, kSysexitl{0x0F, 0x35};
constexpr std::uint64_t kEntry = 0xFFFF'8000'0000'1000, kCompatEntry = 0xFFFF'8000'0000'2000;

[[nodiscard]] std::unique_ptr<SmallMachine> machine(Vendor vendor, bool user) {
    auto m = std::make_unique<SmallMachine>(vendor);
    m->set_up_long_mode(user);
    m->p.msr.star = std::uint64_t{0x23} << 48 | std::uint64_t{SmallMachine::kCode64} << 32;
    m->p.msr.lstar = kEntry;
    m->p.msr.cstar = kCompatEntry;
    m->p.msr.syscall_mask = rflags::IF | rflags::TF | rflags::AC | rflags::CF;
    m->p.msr.sysenter_cs = SmallMachine::kCode64;
    m->p.msr.sysenter_eip = kEntry;
    m->p.msr.sysenter_esp = SmallMachine::kKernelStack;
    return m;
}

TEST(Syscall, SavesRipAndFlagsAndEntersRing0) {
    const auto m = machine(Vendor::kAmd, true);
    m->p.set_rflags(rflags::IF | rflags::CF | rflags::ZF | rflags::RF);
    ASSERT_EQ(m->execute(kSyscall), Outcome::kJumped);
    EXPECT_EQ(m->p.gpr(Gpr::kRcx), SmallMachine::kCode + 2);
    EXPECT_EQ(m->p.gpr(Gpr::kR11), rflags::FIXED | rflags::IF | rflags::CF | rflags::ZF);
    EXPECT_EQ(m->p.rflags(), rflags::FIXED | rflags::ZF);
    EXPECT_EQ(m->p.rip, kEntry);
    EXPECT_EQ(m->p.cpl, 0);
    EXPECT_EQ(m->p.code_size, CodeSize::k64);
    EXPECT_EQ(m->p.segment(SegmentName::kCs).selector, SmallMachine::kCode64);
    EXPECT_EQ(m->p.segment(SegmentName::kSs).selector, SmallMachine::kCode64 + 8);
    EXPECT_EQ(m->p.gpr(Gpr::kRsp), SmallMachine::kUserStack); // the guest's business
}

TEST(Syscall, IsUndefinedWhenEferDoesNotEnableIt) {
    const auto m = machine(Vendor::kAmd, true);
    m->p.msr.efer &= ~efer::SCE;
    EXPECT_EQ(m->fault_of(kSyscall), FaultOf(6, 0));
}

TEST(Syscall, FromCompatibilityModeIsAmdsAlone) {
    const auto amd = machine(Vendor::kAmd, true);
    amd->set_segments(SmallMachine::kUserCode32, SmallMachine::kUserData);
    ASSERT_EQ(amd->execute(kSyscall), Outcome::kJumped);
    EXPECT_EQ(amd->p.rip, kCompatEntry);
    EXPECT_EQ(amd->p.code_size, CodeSize::k64);

    const auto intel = machine(Vendor::kIntel, true);
    intel->set_segments(SmallMachine::kUserCode32, SmallMachine::kUserData);
    EXPECT_EQ(intel->fault_of(kSyscall), FaultOf(6, 0));
}

TEST(Sysret, ReturnsTo64BitOrCompatibilityCode) {
    const auto m = machine(Vendor::kAmd, false);
    m->p.gpr(Gpr::kRcx) = 0x40'1234;
    m->p.gpr(Gpr::kR11) = rflags::IF | rflags::RF | rflags::VM | rflags::OF;
    ASSERT_EQ(m->execute(kSysretq), Outcome::kJumped);
    EXPECT_EQ(m->p.rip, 0x40'1234u);
    EXPECT_EQ(m->p.rflags(), rflags::FIXED | rflags::IF | rflags::OF);
    EXPECT_EQ(m->p.cpl, 3);
    EXPECT_EQ(m->p.code_size, CodeSize::k64);
    EXPECT_EQ(m->p.segment(SegmentName::kCs).selector, 0x33);
    EXPECT_EQ(m->p.segment(SegmentName::kSs).selector, 0x2B);
    EXPECT_TRUE(m->p.attention);

    const auto compat = machine(Vendor::kAmd, false);
    compat->p.gpr(Gpr::kRcx) = 0x1'0040'1234;
    ASSERT_EQ(compat->execute(kSysretl), Outcome::kJumped);
    EXPECT_EQ(compat->p.rip, 0x40'1234u);
    EXPECT_EQ(compat->p.code_size, CodeSize::k32);
    EXPECT_EQ(compat->p.segment(SegmentName::kCs).selector, 0x23);
}

TEST(Sysret, NeedsRing0) {
    const auto m = machine(Vendor::kAmd, true);
    EXPECT_EQ(m->fault_of(kSysretq), FaultOf(13, 0));
}

TEST(Sysret, ToANonCanonicalAddressFaultsInRing0OnIntelAndLaterOnAmd) {
    const auto intel = machine(Vendor::kIntel, false);
    intel->p.gpr(Gpr::kRcx) = 0x8000'0000'0000;
    EXPECT_EQ(intel->fault_of(kSysretq), FaultOf(13, 0));
    EXPECT_EQ(intel->p.cpl, 0);

    const auto amd = machine(Vendor::kAmd, false);
    amd->p.gpr(Gpr::kRcx) = 0x8000'0000'0000;
    EXPECT_EQ(amd->execute(kSysretq), Outcome::kJumped);
    EXPECT_EQ(amd->p.cpl, 3);
}

TEST(Sysenter, InLongModeIsIntelsAlone) {
    const auto amd = machine(Vendor::kAmd, true);
    EXPECT_EQ(amd->fault_of(kSysenter), FaultOf(6, 0));
    EXPECT_EQ(machine(Vendor::kAmd, false)->fault_of(kSysexitq), FaultOf(6, 0));

    const auto intel = machine(Vendor::kIntel, true);
    intel->p.system_flags |= rflags::IF;
    ASSERT_EQ(intel->execute(kSysenter), Outcome::kJumped);
    EXPECT_EQ(intel->p.rip, kEntry);
    EXPECT_EQ(intel->p.gpr(Gpr::kRsp), SmallMachine::kKernelStack);
    EXPECT_EQ(intel->p.cpl, 0);
    EXPECT_EQ(intel->p.system_flags & rflags::IF, 0u);
}

TEST(Sysenter, WithoutACodeSegmentIsAProtectionFault) {
    const auto m = machine(Vendor::kIntel, true);
    m->p.msr.sysenter_cs = 3;
    EXPECT_EQ(m->fault_of(kSysenter), FaultOf(13, 0));
}

TEST(Sysexit, TakesRipFromRdxAndRspFromRcx) {
    const auto m = machine(Vendor::kIntel, false);
    m->p.gpr(Gpr::kRdx) = 0x40'0000;
    m->p.gpr(Gpr::kRcx) = 0x7FFF'0000;
    ASSERT_EQ(m->execute(kSysexitq), Outcome::kJumped);
    EXPECT_EQ(m->p.rip, 0x40'0000u);
    EXPECT_EQ(m->p.gpr(Gpr::kRsp), 0x7FFF'0000u);
    EXPECT_EQ(m->p.segment(SegmentName::kCs).selector, (SmallMachine::kCode64 + 32) | 3);
    EXPECT_EQ(m->p.cpl, 3);

    const auto compat = machine(Vendor::kIntel, false);
    ASSERT_EQ(compat->execute(kSysexitl), Outcome::kJumped);
    EXPECT_EQ(compat->p.segment(SegmentName::kCs).selector, (SmallMachine::kCode64 + 16) | 3);
    EXPECT_EQ(compat->p.code_size, CodeSize::k32);

    const auto wild = machine(Vendor::kIntel, false);
    wild->p.gpr(Gpr::kRcx) = 0x8000'0000'0000;
    EXPECT_EQ(wild->fault_of(kSysexitq), FaultOf(13, 0));
}

} // namespace
} // namespace touka::cpu::interpreter
