#include "cpu/interpreter/system_registers.hpp"

#include <gtest/gtest.h>

#include "cpu/interpreter/control_registers.hpp"
#include "cpu/interpreter/processor_fixture.hpp"
#include "spec/x86/debug_register.hpp"

namespace touka::cpu::interpreter {
namespace {

using namespace spec::x86;
using FaultOf = std::pair<unsigned, std::uint32_t>;
constexpr FaultOf kNone{255, 0}, kProtection{13, 0}, kUndefined{6, 0};

constexpr std::initializer_list<std::uint8_t> kToCr0{0x0F, 0x22, 0xC0}, kToCr3{0x0F, 0x22, 0xD8},
    kToCr4{0x0F, 0x22, 0xE0}, kToCr8{0x44, 0x0F, 0x22, 0xC0}, kFromCr8{0x44, 0x0F, 0x20, 0xC0},
    kToDr6{0x0F, 0x23, 0xF0}, kToDr7{0x0F, 0x23, 0xF8}, kFromDr4{0x0F, 0x21, 0xE0}, kXsetbv{0x0F, 0x01, 0xD1},
    kXgetbv{0x0F, 0x01, 0xD0}, kCpuid{0x0F, 0xA2}, kLmsw{0x0F, 0x01, 0xF0}, kSmsw{0x0F, 0x01, 0xE0},
    kRdpid{0xF3, 0x0F, 0xC7, 0xF8};

class SystemRegisters : public testing::Test {
protected:
    SystemRegisters() { m.set_up_long_mode(); }
    FaultOf fault_with(std::uint64_t rax, std::initializer_list<std::uint8_t> bytes) {
        m.p.gpr(Gpr::kRax) = rax;
        return m.fault_of(bytes);
    }
    SmallMachine m;
};

TEST_F(SystemRegisters, ControlRegistersArePrivileged) {
    m.set_up_long_mode(true);
    for (const auto& bytes : {kToCr0, kToCr3, kToCr4, kToCr8, kFromCr8, kToDr7, kLmsw})
        EXPECT_EQ(m.fault_of(bytes), kProtection);
}

TEST_F(SystemRegisters, Cr0RefusesImpossibleValues) {
    EXPECT_EQ(fault_with(m.p.cr0 | std::uint64_t{1} << 32, kToCr0), kProtection);
    EXPECT_EQ(fault_with(m.p.cr0 & ~cr0::PE, kToCr0), kProtection);
    EXPECT_EQ(fault_with(m.p.cr0 | cr0::NW, kToCr0), kProtection);
    EXPECT_EQ(fault_with(m.p.cr0 & ~cr0::PG, kToCr0), kProtection); // from 64-bit code
    EXPECT_EQ(fault_with(m.p.cr0 | cr0::TS | cr0::CD | cr0::NW, kToCr0), kNone);
    EXPECT_NE(m.p.cr0 & cr0::TS, 0u);
}

TEST_F(SystemRegisters, LongModeEndsAndBeginsWithPaging) {
    m.set_segments(SmallMachine::kCode32, SmallMachine::kData);
    EXPECT_EQ(fault_with(m.p.cr0 & ~cr0::PG, kToCr0), kNone);
    EXPECT_FALSE(m.p.long_mode);
    EXPECT_EQ(m.p.msr.efer & (efer::LMA | efer::LME), efer::LME);
    EXPECT_EQ(fault_with(0, kToCr4), kNone);
    EXPECT_EQ(fault_with(m.p.cr0 | cr0::PG, kToCr0), kProtection); // LME without PAE
    EXPECT_EQ(fault_with(cr4::PAE, kToCr4), kNone);
    EXPECT_EQ(fault_with(m.p.cr0 | cr0::PG, kToCr0), kNone);
    EXPECT_TRUE(m.p.long_mode);
}

TEST_F(SystemRegisters, ProtectedModeBeginsWithPrivilege0WhateverTheSelectorSays) {
    SmallMachine real;
    real.p.segment(SegmentName::kCs) = {
        .selector = 0x1003, .attributes = 0x9B, .unusable = false, .limit = 0xFFFF, .base = 0x1'0030};
    real.p.rip = 0;
    real.p.gpr(Gpr::kRax) = cr0::PE;
    EXPECT_TRUE(write_cr0(real.p, cr0::PE));
    EXPECT_TRUE(real.p.protected_mode);
    EXPECT_EQ(real.p.cpl, 0);
    EXPECT_EQ(real.p.code_size, CodeSize::k16);
}

TEST_F(SystemRegisters, Cr3RefusesReservedBitsAndDropsTheNoFlushBit) {
    EXPECT_EQ(fault_with(std::uint64_t{1} << 40, kToCr3), kProtection);
    EXPECT_EQ(fault_with(SmallMachine::kPml4 | cr3::NO_FLUSH, kToCr3), kProtection);
    EXPECT_EQ(fault_with(cr4::PAE | cr4::PCIDE, kToCr4), kNone);
    EXPECT_EQ(fault_with(SmallMachine::kPml4 | 5 | cr3::NO_FLUSH, kToCr3), kNone);
    EXPECT_EQ(m.p.cr3, SmallMachine::kPml4 | 5);
    EXPECT_EQ(fault_with(cr4::PAE, kToCr4), kNone);
    EXPECT_EQ(fault_with(cr4::PAE | cr4::PCIDE, kToCr4), kProtection); // a PCID is in use
}

TEST_F(SystemRegisters, Cr4RefusesWhatCpuidDoesNotShow) {
    EXPECT_EQ(fault_with(cr4::PAE | cr4::LA57, kToCr4), kProtection);
    EXPECT_EQ(fault_with(cr4::PAE | cr4::PKE, kToCr4), kProtection);
    EXPECT_EQ(fault_with(cr4::PAE | cr4::VME, kToCr4), kProtection);
    EXPECT_EQ(fault_with(0, kToCr4), kProtection); // long mode needs PAE
    EXPECT_EQ(fault_with(cr4::PAE | cr4::SMEP | cr4::SMAP | cr4::UMIP | cr4::FSGSBASE | cr4::PGE, kToCr4), kNone);
}

TEST_F(SystemRegisters, ANewTableBaseTakesEffectAtOnce) {
    std::uint64_t value = 0;
    m.poke(0x5'5000, std::uint64_t{0x1111});
    m.poke(0x25'5000, std::uint64_t{0x2222});
    ASSERT_TRUE(read_linear(m.p, 0x5'5000, value));
    EXPECT_EQ(value, 0x1111u);
    // Another set of tables, in which the first 2 MiB are the second ones.
    m.poke(0xA000, 0xB003u);
    m.poke(0xB000, 0xC003u);
    m.poke(0xC000, std::uint64_t{0x20'0083});
    ASSERT_EQ(fault_with(0xA000, kToCr3), kNone);
    ASSERT_TRUE(read_linear(m.p, 0x5'5000, value));
    EXPECT_EQ(value, 0x2222u);
}

TEST_F(SystemRegisters, Cr8IsTheTaskPriorityOfTheApic) {
    EXPECT_EQ(fault_with(0x10, kToCr8), kProtection);
    EXPECT_EQ(fault_with(7, kToCr8), kNone);
    EXPECT_EQ(m.port.priority, 7);
    m.port.priority = 9;
    EXPECT_EQ(fault_with(0, kFromCr8), kNone);
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 9u);
}

TEST_F(SystemRegisters, DebugRegistersKeepTheirFixedBits) {
    EXPECT_EQ(fault_with(0, kToDr6), kNone);
    EXPECT_EQ(m.p.dr[6], dr6::kFixed);
    EXPECT_EQ(fault_with(0xFFFF'FFFF & ~dr7::GD, kToDr7), kNone);
    EXPECT_EQ(m.p.dr[7], 0xFFFF'07FFu);
    EXPECT_EQ(fault_with(std::uint64_t{1} << 32, kToDr7), kProtection);
}

TEST_F(SystemRegisters, Dr4IsDr6UnlessDebugExtensionsAreOn) {
    EXPECT_EQ(m.fault_of(kFromDr4), kNone);
    EXPECT_EQ(m.p.gpr(Gpr::kRax), dr6::kFixed);
    m.p.cr4 |= cr4::DE;
    EXPECT_EQ(m.fault_of(kFromDr4), kUndefined);
}

TEST_F(SystemRegisters, GeneralDetectTrapsAccessesToDebugRegisters) {
    m.p.dr[7] |= dr7::GD;
    EXPECT_EQ(m.fault_of(kToDr6).first, 1u);
    EXPECT_EQ(m.p.fault->address, dr6::BD);
}

TEST_F(SystemRegisters, LmswSetsProtectionAndCannotClearIt) {
    EXPECT_EQ(fault_with(cr0::TS, kLmsw), kNone);
    EXPECT_EQ(m.p.cr0 & (cr0::PE | cr0::TS), cr0::PE | cr0::TS);
    EXPECT_EQ(m.fault_of({0x0F, 0x06}), kNone); // clts
    EXPECT_EQ(m.p.cr0 & cr0::TS, 0u);
}

TEST_F(SystemRegisters, SmswIsForEverybodyWithoutUmip) {
    m.set_up_long_mode(true);
    EXPECT_EQ(m.fault_of(kSmsw), kNone);
    EXPECT_EQ(m.p.gpr(Gpr::kRax), m.p.cr0);
    m.p.cr4 |= cr4::UMIP;
    EXPECT_EQ(m.fault_of(kSmsw), kProtection);
}

TEST_F(SystemRegisters, XsetbvChecksItsValueAndCpuidFollows) {
    m.p.gpr(Gpr::kRcx) = m.p.gpr(Gpr::kRdx) = 0;
    EXPECT_EQ(fault_with(7, kXsetbv), kUndefined);
    m.p.cr4 |= cr4::OSXSAVE;
    EXPECT_EQ(fault_with(6, kXsetbv), kProtection);     // x87 missing
    EXPECT_EQ(fault_with(5, kXsetbv), kProtection);     // AVX without SSE
    EXPECT_EQ(fault_with(0x207, kXsetbv), kProtection); // PKRU is not there
    EXPECT_EQ(fault_with(0xA7, kXsetbv), kProtection);  // AVX-512 in parts
    EXPECT_EQ(fault_with(0xE3, kXsetbv), kProtection);  // AVX-512 without AVX
    EXPECT_EQ(fault_with(3, kXsetbv), kNone);
    m.p.gpr(Gpr::kRcx) = 0;
    ASSERT_EQ(fault_with(0xD, kCpuid), kNone);
    EXPECT_EQ(m.p.gpr(Gpr::kRbx), 576u);
    m.p.gpr(Gpr::kRcx) = m.p.gpr(Gpr::kRdx) = 0;
    EXPECT_EQ(fault_with(7, kXsetbv), kNone);
    ASSERT_EQ(fault_with(0xD, kCpuid), kNone);
    EXPECT_EQ(m.p.gpr(Gpr::kRbx), 832u);
    m.p.gpr(Gpr::kRcx) = 0;
    EXPECT_EQ(fault_with(0, kXgetbv), kNone);
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 7u);
    m.p.gpr(Gpr::kRcx) = m.p.gpr(Gpr::kRdx) = 0;
    EXPECT_EQ(fault_with(0xE7, kXsetbv), kNone);
    ASSERT_EQ(fault_with(0xD, kCpuid), kNone);
    EXPECT_EQ(m.p.gpr(Gpr::kRbx), 2432u);
}

TEST_F(SystemRegisters, CpuidFollowsOsxsaveAndTheApic) {
    ASSERT_EQ(fault_with(1, kCpuid), kNone);
    EXPECT_EQ(m.p.gpr(Gpr::kRcx) & cpuid::leaf1_ecx::OSXSAVE, 0u);
    EXPECT_NE(m.p.gpr(Gpr::kRdx) & cpuid::leaf1_edx::APIC, 0u);
    m.p.cr4 |= cr4::OSXSAVE;
    m.port.msrs[msr::kApicBase] = 0xFEE0'0100;
    ASSERT_EQ(fault_with(1, kCpuid), kNone);
    EXPECT_NE(m.p.gpr(Gpr::kRcx) & cpuid::leaf1_ecx::OSXSAVE, 0u);
    EXPECT_EQ(m.p.gpr(Gpr::kRdx) & cpuid::leaf1_edx::APIC, 0u);
}

TEST_F(SystemRegisters, RdpidReadsTscAux) {
    m.p.msr.tsc_aux = 0x1234;
    EXPECT_EQ(m.fault_of(kRdpid), kNone);
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 0x1234u);
}

TEST_F(SystemRegisters, HltIsPrivilegedAndLeavesRipBehindIt) {
    EXPECT_EQ(m.execute({0xF4}), Outcome::kHalt);
    EXPECT_EQ(m.p.rip, SmallMachine::kCode + 1);
    EXPECT_EQ(m.p.run_state, RunState::kHalted);
    m.set_up_long_mode(true);
    EXPECT_EQ(m.fault_of({0xF4}), kProtection);
}

TEST_F(SystemRegisters, AbsentInstructionsAreUndefined) {
    for (const auto& bytes : std::initializer_list<std::initializer_list<std::uint8_t>>{{0x0F, 0x01, 0xC1},
                                                                                        {0x0F, 0x01, 0xD9},
                                                                                        {0x0F, 0x01, 0xC8},
                                                                                        {0x0F, 0x01, 0xC9},
                                                                                        {0x0F, 0xAA},
                                                                                        {0x0F, 0x0B}})
        EXPECT_EQ(m.fault_of(bytes), kUndefined);
    EXPECT_EQ(m.fault_of({0x0F, 0x33}), kProtection); // rdpmc: there are no counters
}

TEST_F(SystemRegisters, InvpcidChecksItsDescriptor) {
    const std::initializer_list<std::uint8_t> invpcid{0x66, 0x0F, 0x38, 0x82, 0x03}; // invpcid rax, [rbx]
    m.p.gpr(Gpr::kRbx) = 0x9000;
    m.poke(0x9000, std::uint64_t{0});
    m.poke(0x9008, std::uint64_t{0x1000});
    for (const std::uint64_t type : {0u, 1u, 2u, 3u}) EXPECT_EQ(fault_with(type, invpcid), kNone);
    EXPECT_EQ(fault_with(4, invpcid), kProtection);
    m.poke(0x9000, std::uint64_t{1});
    EXPECT_EQ(fault_with(0, invpcid), kProtection); // CR4.PCIDE is 0
    m.p.cr4 |= cr4::PCIDE;
    EXPECT_EQ(fault_with(0, invpcid), kNone);
    m.poke(0x9000, std::uint64_t{0x1000});
    EXPECT_EQ(fault_with(2, invpcid), kProtection);
    m.poke(0x9000, std::uint64_t{1});
    m.poke(0x9008, std::uint64_t{0x8000'0000'0000});
    EXPECT_EQ(fault_with(0, invpcid), kProtection);
}

} // namespace
} // namespace touka::cpu::interpreter
