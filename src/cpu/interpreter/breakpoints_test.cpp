#include "cpu/interpreter/breakpoints.hpp"

#include <gtest/gtest.h>

#include "cpu/interpreter/program_fixture.hpp"

namespace touka::cpu::interpreter {
namespace {

using namespace spec::x86;
using dr7::Condition;

constexpr unsigned kDebugVector = 1, kNoVector = 256;

/// A program whose breakpoint n is armed by arm(n, ...).
struct WatchedMachine : ProgramMachine {
    using ProgramMachine::ProgramMachine;

    StopReason run(std::initializer_list<std::uint8_t> bytes) {
        memory->written(spec::GuestAddress{kCode}, bytes.size()); // other code may have been there before
        return ProgramMachine::run(bytes);
    }
    void arm(unsigned n, Condition condition, unsigned length_bytes, std::uint64_t address) {
        const std::uint64_t length = length_bytes == 8 ? 2 : length_bytes - 1;
        p.dr[n] = address;
        p.dr[7] |= std::uint64_t{1} << (2 * n) | (static_cast<std::uint64_t>(condition) | length << 2) << (16 + 4 * n);
        select_tlb(p);
    }
    [[nodiscard]] std::uint64_t met() const { return p.dr[6] & 0xF; }
    /// RFLAGS as the exception pushed them.
    [[nodiscard]] std::uint64_t pushed_flags() { return peek(p.gpr(Gpr::kRsp) + 16); }
};

constexpr std::initializer_list<std::uint8_t> kStoreEax{0x89, 0x07, 0xFF, 0xC1, 0xF4}; // mov [rdi],eax; inc ecx; hlt
constexpr std::initializer_list<std::uint8_t> kLoadEax{0x8B, 0x07, 0xFF, 0xC1, 0xF4};  // mov eax,[rdi]; inc ecx; hlt

TEST(Breakpoints, AWriteTrapsBehindTheInstructionThatStored) {
    WatchedMachine m;
    m.arm(2, Condition::kWrite, 4, ProgramMachine::kData);
    m.p.gpr(Gpr::kRdi) = ProgramMachine::kData;
    m.p.gpr(Gpr::kRax) = 0x1234'5678;
    m.p.gpr(Gpr::kRcx) = 0;
    EXPECT_EQ(m.run(kStoreEax), StopReason::kHalted);
    EXPECT_EQ(m.vector(), kDebugVector);
    EXPECT_EQ(m.return_rip(false), ProgramMachine::kCode + 2);
    EXPECT_EQ(m.peek<std::uint32_t>(ProgramMachine::kData), 0x1234'5678u);
    EXPECT_EQ(m.p.gpr(Gpr::kRcx), 0u);
    EXPECT_EQ(m.p.dr[6], dr6::kFixed | dr6::B0 << 2);
    EXPECT_EQ(m.pushed_flags() & rflags::RF, 0u);
}

TEST(Breakpoints, OnWritesIgnoreLoads) {
    WatchedMachine m;
    m.arm(0, Condition::kWrite, 4, ProgramMachine::kData);
    m.p.gpr(Gpr::kRdi) = ProgramMachine::kData;
    EXPECT_EQ(m.run(kLoadEax), StopReason::kHalted);
    EXPECT_EQ(m.vector(), kNoVector);
}

TEST(Breakpoints, OnAccessesMeetLoadsAndStoresButNoExecution) {
    WatchedMachine m;
    m.arm(0, Condition::kAccess, 1, ProgramMachine::kData);
    m.arm(1, Condition::kAccess, 1, ProgramMachine::kCode);
    m.p.gpr(Gpr::kRdi) = ProgramMachine::kData;
    EXPECT_EQ(m.run(kLoadEax), StopReason::kHalted);
    EXPECT_EQ(m.vector(), kDebugVector);
    EXPECT_EQ(m.return_rip(false), ProgramMachine::kCode + 2);
    EXPECT_EQ(m.met(), 1u);
    m.p.dr[6] = dr6::kFixed;
    EXPECT_EQ(m.run(kStoreEax), StopReason::kHalted);
    EXPECT_EQ(m.met(), 1u);
}

TEST(Breakpoints, AreIgnoredWhileNotEnabled) {
    WatchedMachine m;
    m.arm(0, Condition::kWrite, 4, ProgramMachine::kData);
    m.p.dr[7] &= ~dr7::kEnables;
    m.p.gpr(Gpr::kRdi) = ProgramMachine::kData;
    EXPECT_EQ(m.run(kStoreEax), StopReason::kHalted);
    EXPECT_EQ(m.vector(), kNoVector);
    m.p.dr[7] |= 2; // G0 does what L0 does
    EXPECT_EQ(m.run(kStoreEax), StopReason::kHalted);
    EXPECT_EQ(m.vector(), kDebugVector);
}

TEST(Breakpoints, MeetEachAccessThatTouchesOneOfTheirBytes) {
    /// mov [rdi],AL, AX, EAX or RAX; hlt
    const auto store = [](WatchedMachine& m, unsigned width_bytes) {
        switch (width_bytes) {
            case 1: return m.run({0x88, 0x07, 0xF4});
            case 2: return m.run({0x66, 0x89, 0x07, 0xF4});
            case 4: return m.run({0x89, 0x07, 0xF4});
            default: return m.run({0x48, 0x89, 0x07, 0xF4});
        }
    };
    for (unsigned bytes = 1; bytes <= 8; bytes *= 2) {
        for (unsigned low_bits = 0; low_bits < 8; ++low_bits) {
            WatchedMachine m;
            const std::uint64_t address = ProgramMachine::kData + 0x100 + low_bits;
            m.arm(0, Condition::kWrite, bytes, address);
            const std::uint64_t first = address / bytes * bytes, last = first + bytes - 1; // the low bits do not count
            for (unsigned width = 1; width <= 8; width *= 2) {
                for (std::uint64_t at = address - 18; at != address + 18; ++at) {
                    m.p.gpr(Gpr::kRdi) = at;
                    m.p.gpr(Gpr::kRsp) = ProgramMachine::kStack;
                    ASSERT_EQ(store(m, width), StopReason::kHalted);
                    const bool touches = at <= last && at + width > first;
                    ASSERT_EQ(m.vector(), touches ? kDebugVector : kNoVector)
                        << bytes << ' ' << low_bits << ' ' << width << ' ' << at;
                }
            }
        }
    }
}

TEST(Breakpoints, MeetBothPagesOfAnAccessAcrossThem) {
    WatchedMachine m;
    m.arm(3, Condition::kWrite, 1, ProgramMachine::kData + 0x1001);
    m.p.gpr(Gpr::kRdi) = ProgramMachine::kData + 0xFFE;
    EXPECT_EQ(m.run(kStoreEax), StopReason::kHalted);
    EXPECT_EQ(m.vector(), kDebugVector);
    EXPECT_EQ(m.met(), 8u);
}

TEST(Breakpoints, MeetReadModifyWriteStackAndVectorInstructions) {
    const auto met_by = [](std::initializer_list<std::uint8_t> bytes) {
        WatchedMachine m;
        m.p.cr4 |= cr4::OSFXSR;
        m.arm(0, Condition::kWrite, 8, ProgramMachine::kData + 8);
        m.p.gpr(Gpr::kRdi) = ProgramMachine::kData + 8;
        m.p.gpr(Gpr::kRsp) = ProgramMachine::kData + 16;
        EXPECT_EQ(m.run(bytes), StopReason::kHalted);
        return m.met();
    };
    EXPECT_EQ(met_by({0xF0, 0x01, 0x07, 0xF4}), 1u);       // lock add [rdi],eax
    EXPECT_EQ(met_by({0x0F, 0xC1, 0x07, 0xF4}), 1u);       // xadd [rdi],eax
    EXPECT_EQ(met_by({0x0F, 0x11, 0x47, 0xF8, 0xF4}), 1u); // movups [rdi-8],xmm0
    EXPECT_EQ(met_by({0x0F, 0x10, 0x47, 0xF8, 0xF4}), 0u); // movups xmm0,[rdi-8]
    EXPECT_EQ(met_by({0x50, 0xF4}), 1u);                   // push rax
    EXPECT_EQ(met_by({0xD9, 0xEE, 0xDD, 0x1F, 0xF4}), 1u); // fldz; fstp qword [rdi]
}

TEST(Breakpoints, AreNotMetByAnInstructionThatFaults) {
    WatchedMachine m;
    m.use_small_pages();
    m.arm(0, Condition::kAccess, 8, ProgramMachine::kData);
    m.p.gpr(Gpr::kRsi) = ProgramMachine::kData;
    m.p.gpr(Gpr::kRdi) = ProgramMachine::kHigh;
    EXPECT_EQ(m.run({0x48, 0xA5, 0xF4}), StopReason::kHalted); // movsq
    EXPECT_EQ(m.vector(), 14u);
    EXPECT_EQ(m.met(), 0u);
    EXPECT_EQ(m.p.pending_debug, 0u);
}

TEST(Breakpoints, ARepeatedStringInstructionTrapsBehindTheIterationThatMetOne) {
    WatchedMachine m;
    m.arm(0, Condition::kWrite, 8, ProgramMachine::kData + 24);
    m.p.gpr(Gpr::kRdi) = ProgramMachine::kData;
    m.p.gpr(Gpr::kRcx) = 10;
    EXPECT_EQ(m.run({0xF3, 0x48, 0xAB, 0xF4}), StopReason::kHalted); // rep stosq
    EXPECT_EQ(m.vector(), kDebugVector);
    EXPECT_EQ(m.p.gpr(Gpr::kRcx), 6u);
    EXPECT_EQ(m.return_rip(false), ProgramMachine::kCode);
    EXPECT_NE(m.pushed_flags() & rflags::RF, 0u);
}

TEST(Breakpoints, TheLastIterationTrapsBehindTheInstruction) {
    WatchedMachine m;
    m.arm(0, Condition::kWrite, 8, ProgramMachine::kData + 24);
    m.p.gpr(Gpr::kRdi) = ProgramMachine::kData;
    m.p.gpr(Gpr::kRcx) = 4;
    EXPECT_EQ(m.run({0xF3, 0x48, 0xAB, 0xF4}), StopReason::kHalted); // rep stosq
    EXPECT_EQ(m.p.gpr(Gpr::kRcx), 0u);
    EXPECT_EQ(m.return_rip(false), ProgramMachine::kCode + 3);
    EXPECT_EQ(m.pushed_flags() & rflags::RF, 0u);
}

TEST(Breakpoints, ARepeatedStringInstructionGoesOnAfterTheHandler) {
    WatchedMachine m;
    m.arm(0, Condition::kWrite, 8, ProgramMachine::kData + 24);
    m.arm(1, Condition::kExecution, 1, ProgramMachine::kCode);
    m.code({0xFF, 0xC3, 0x48, 0xCF}, ProgramMachine::handler(1)); // inc ebx; iretq
    m.p.gpr(Gpr::kRbx) = 0;
    m.p.gpr(Gpr::kRdi) = ProgramMachine::kData;
    m.p.gpr(Gpr::kRcx) = 10;
    m.p.system_flags |= rflags::RF;                                  // past the breakpoint at the start
    EXPECT_EQ(m.run({0xF3, 0x48, 0xAB, 0xF4}), StopReason::kHalted); // rep stosq
    EXPECT_EQ(m.vector(), kNoVector);
    EXPECT_EQ(m.p.gpr(Gpr::kRcx), 0u);
    EXPECT_EQ(m.p.gpr(Gpr::kRbx), 1u);
    EXPECT_EQ(m.met(), 1u);
}

TEST(Breakpoints, SingleStepTrapsBehindEachIteration) {
    WatchedMachine m;
    m.p.gpr(Gpr::kRdi) = ProgramMachine::kData;
    m.p.gpr(Gpr::kRcx) = 10;
    m.p.system_flags |= rflags::TF;
    EXPECT_EQ(m.run({0xF3, 0x48, 0xAB, 0xF4}), StopReason::kHalted); // rep stosq
    EXPECT_EQ(m.p.gpr(Gpr::kRcx), 9u);
    EXPECT_EQ(m.p.dr[6], dr6::kFixed | dr6::BS);
}

TEST(Breakpoints, RfInTheHandlersReturnLetsTheInstructionRun) {
    WatchedMachine m;
    m.arm(0, Condition::kExecution, 1, ProgramMachine::kCode);
    // or dword [rsp+16],10000h; inc ebx; iretq
    m.code({0x81, 0x4C, 0x24, 0x10, 0x00, 0x00, 0x01, 0x00, 0xFF, 0xC3, 0x48, 0xCF}, ProgramMachine::handler(1));
    m.p.gpr(Gpr::kRax) = m.p.gpr(Gpr::kRbx) = 0;
    EXPECT_EQ(m.run({0xFF, 0xC0, 0xF4}), StopReason::kHalted); // inc eax; hlt
    EXPECT_EQ(m.vector(), kNoVector);
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 1u);
    EXPECT_EQ(m.p.gpr(Gpr::kRbx), 1u);
}

TEST(Breakpoints, LoadingSsHoldsTheTrapUntilTheNextInstructionIsDone) {
    WatchedMachine m;
    m.poke<std::uint16_t>(ProgramMachine::kData, SmallMachine::kData);
    m.arm(0, Condition::kAccess, 2, ProgramMachine::kData);
    m.p.gpr(Gpr::kRdi) = ProgramMachine::kData;
    m.p.gpr(Gpr::kRax) = m.p.gpr(Gpr::kRcx) = 0;
    // mov ss,[rdi]; inc eax; inc ecx; hlt
    EXPECT_EQ(m.run({0x8E, 0x17, 0xFF, 0xC0, 0xFF, 0xC1, 0xF4}), StopReason::kHalted);
    EXPECT_EQ(m.vector(), kDebugVector);
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 1u);
    EXPECT_EQ(m.p.gpr(Gpr::kRcx), 0u);
    EXPECT_EQ(m.met(), 1u);
}

TEST(Breakpoints, LoadingSsHoldsSingleStepUntilTheNextInstructionIsDone) {
    WatchedMachine m;
    m.p.gpr(Gpr::kRdx) = SmallMachine::kData;
    m.p.gpr(Gpr::kRax) = m.p.gpr(Gpr::kRcx) = 0;
    m.p.system_flags |= rflags::TF;
    // mov ss,edx; inc eax; inc ecx; hlt
    EXPECT_EQ(m.run({0x8E, 0xD2, 0xFF, 0xC0, 0xFF, 0xC1, 0xF4}), StopReason::kHalted);
    EXPECT_EQ(m.vector(), kDebugVector);
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 1u);
    EXPECT_EQ(m.p.gpr(Gpr::kRcx), 0u);
    EXPECT_EQ(m.p.dr[6], dr6::kFixed | dr6::BS);
}

TEST(Breakpoints, IntelsProcessorsIgnoreOneBehindALoadOfSs) {
    for (const auto vendor : {ProcessorModel::Vendor::kAmd, ProcessorModel::Vendor::kIntel}) {
        WatchedMachine m;
        m.p.model.vendor = vendor;
        m.arm(0, Condition::kExecution, 1, ProgramMachine::kCode + 2);
        m.p.gpr(Gpr::kRdx) = SmallMachine::kData;
        EXPECT_EQ(m.run({0x8E, 0xD2, 0xFF, 0xC0, 0xF4}), StopReason::kHalted); // mov ss,edx; inc eax; hlt
        EXPECT_EQ(m.vector(), vendor == ProcessorModel::Vendor::kIntel ? kNoVector : kDebugVector);
    }
}

TEST(Breakpoints, StiHoldsNoTrap) {
    WatchedMachine m;
    m.p.gpr(Gpr::kRax) = 0;
    m.p.system_flags |= rflags::TF;
    EXPECT_EQ(m.run({0xFB, 0xFF, 0xC0, 0xF4}), StopReason::kHalted); // sti; inc eax; hlt
    EXPECT_EQ(m.vector(), kDebugVector);
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 0u);
}

TEST(Breakpoints, OneTrapTellsAllThatWasMet) {
    WatchedMachine m;
    m.arm(0, Condition::kWrite, 1, ProgramMachine::kData);
    m.arm(1, Condition::kAccess, 8, ProgramMachine::kData);
    m.arm(2, Condition::kWrite, 1, ProgramMachine::kData + 8);
    m.p.gpr(Gpr::kRdi) = ProgramMachine::kData;
    m.p.system_flags |= rflags::TF;
    EXPECT_EQ(m.run(kStoreEax), StopReason::kHalted);
    EXPECT_EQ(m.p.dr[6], dr6::kFixed | dr6::BS | 3);
}

TEST(Breakpoints, TheTrapComesBeforeAnInterrupt) {
    WatchedMachine m;
    m.arm(0, Condition::kWrite, 4, ProgramMachine::kData);
    m.p.gpr(Gpr::kRdi) = ProgramMachine::kData;
    m.code({0x89, 0x07, 0xF4}, ProgramMachine::kCode);
    m.p.rip = ProgramMachine::kCode;
    m.p.run_state = RunState::kRunning;
    EXPECT_EQ(interpreter::execute(m.p, 1), StopReason::kBudget); // the store is done, its trap is not taken yet
    m.port.pending = 0x40;
    m.p.system_flags |= rflags::IF;
    EXPECT_EQ(interpreter::execute(m.p), StopReason::kHalted);
    EXPECT_EQ(m.vector(), kDebugVector);
    EXPECT_EQ(m.port.pending, 0x40);
}

TEST(Breakpoints, WhatTheDeliveryOfAnExceptionStoresTrapsBeforeItsHandler) {
    WatchedMachine m;
    m.arm(0, Condition::kWrite, 8, ProgramMachine::kStack - 8);
    m.code({0xFF, 0xC0, 0xF4}, ProgramMachine::handler(6)); // inc eax; hlt
    m.p.gpr(Gpr::kRax) = 0;
    EXPECT_EQ(m.run({0x0F, 0x0B}), StopReason::kHalted); // ud2
    EXPECT_EQ(m.vector(), kDebugVector);
    EXPECT_EQ(m.return_rip(false), ProgramMachine::handler(6));
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 0u);
}

TEST(Breakpoints, WhatTheDeliveryOfAnInterruptStoresTrapsBeforeItsHandler) {
    WatchedMachine m;
    m.arm(0, Condition::kWrite, 8, ProgramMachine::kStack - 8);
    m.code({0xFF, 0xC0, 0xF4}, ProgramMachine::handler(0x40)); // inc eax; hlt
    m.p.gpr(Gpr::kRax) = 0;
    m.p.system_flags |= rflags::IF;
    m.port.pending = 0x40;
    EXPECT_EQ(m.run({0xF4}), StopReason::kHalted);
    EXPECT_EQ(m.vector(), kDebugVector);
    EXPECT_EQ(m.return_rip(false), ProgramMachine::handler(0x40));
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 0u);
}

TEST(Breakpoints, OnPortsExistUnderDe) {
    WatchedMachine m;
    m.arm(1, Condition::kPort, 2, 0x71);
    EXPECT_EQ(m.run({0xE6, 0x70, 0xE4, 0x72, 0xF4}), StopReason::kHalted); // out 70h,al; in al,72h; hlt
    EXPECT_EQ(m.vector(), kNoVector);
    m.p.cr4 |= cr4::DE;
    EXPECT_EQ(m.run({0xE6, 0x6F, 0xE6, 0x70, 0xE4, 0x72, 0xF4}), StopReason::kHalted);
    EXPECT_EQ(m.vector(), kDebugVector);
    EXPECT_EQ(m.return_rip(false), ProgramMachine::kCode + 4);
    EXPECT_EQ(m.met(), 2u);
    m.p.dr[6] = dr6::kFixed;
    EXPECT_EQ(m.run({0xE4, 0x72, 0xE4, 0x71, 0xF4}), StopReason::kHalted);
    EXPECT_EQ(m.return_rip(false), ProgramMachine::kCode + 4);
    EXPECT_EQ(m.met(), 2u);
}

TEST(Breakpoints, OnPortsStopAStringOfOutputsBehindEachElement) {
    WatchedMachine m;
    m.p.cr4 |= cr4::DE;
    m.arm(0, Condition::kPort, 1, 0x80);
    m.p.gpr(Gpr::kRsi) = ProgramMachine::kData;
    m.p.gpr(Gpr::kRdx) = 0x80;
    m.p.gpr(Gpr::kRcx) = 3;
    EXPECT_EQ(m.run({0xF3, 0x6E, 0xF4}), StopReason::kHalted); // rep outsb
    EXPECT_EQ(m.vector(), kDebugVector);
    EXPECT_EQ(m.p.gpr(Gpr::kRcx), 2u);
    EXPECT_EQ(m.bus.writes.size(), 1u);
}

TEST(Breakpoints, AProgramArmsAndDisarmsThemItself) {
    WatchedMachine m;
    m.p.gpr(Gpr::kRdi) = ProgramMachine::kData;
    m.p.gpr(Gpr::kRax) = ProgramMachine::kData;
    m.p.gpr(Gpr::kRbx) = 0x1'0001; // L0, write, one byte
    m.p.gpr(Gpr::kRcx) = 0;
    // mov [rdi],al; mov dr0,rax; mov dr7,rbx; mov dr7,rcx; mov [rdi],al; mov dr7,rbx; mov [rdi],al; hlt
    EXPECT_EQ(m.run({0x88, 0x07, 0x0F, 0x23, 0xC0, 0x0F, 0x23, 0xFB, 0x0F, 0x23, 0xF9, 0x88, 0x07, 0x0F, 0x23, 0xFB,
                     0x88, 0x07, 0xF4}),
              StopReason::kHalted);
    EXPECT_EQ(m.vector(), kDebugVector);
    EXPECT_EQ(m.return_rip(false), ProgramMachine::kCode + 18);
}

TEST(Breakpoints, AGuardedDebugRegisterFaultsBeforeTheMove) {
    WatchedMachine m;
    m.p.dr[7] |= dr7::GD;
    m.p.gpr(Gpr::kRax) = 5;
    EXPECT_EQ(m.run({0x0F, 0x23, 0xC0, 0xF4}), StopReason::kHalted); // mov dr0,rax
    EXPECT_EQ(m.vector(), kDebugVector);
    EXPECT_EQ(m.return_rip(false), ProgramMachine::kCode);
    EXPECT_EQ(m.p.dr[6], dr6::kFixed | dr6::BD);
    EXPECT_NE(m.pushed_flags() & rflags::RF, 0u);
    EXPECT_EQ(m.p.dr[0], 0u);
}

TEST(Breakpoints, OnlyThoseOnDataKeepAccessesFromTheTlb) {
    WatchedMachine m;
    const TlbEntry* open = m.p.tlb.data;
    m.arm(0, Condition::kExecution, 1, ProgramMachine::kData);
    m.arm(1, Condition::kPort, 1, 0x80);
    EXPECT_EQ(m.p.tlb.data, open);
    m.arm(2, Condition::kWrite, 1, ProgramMachine::kData);
    EXPECT_NE(m.p.tlb.data, open);
    m.p.dr[7] &= ~(std::uint64_t{3} << 4);
    select_tlb(m.p);
    EXPECT_EQ(m.p.tlb.data, open);
}

TEST(Breakpoints, OnDataCheckNoAlignment) {
    WatchedMachine m(true);
    m.arm(0, Condition::kWrite, 1, ProgramMachine::kData + 0x100);
    m.p.gpr(Gpr::kRdi) = ProgramMachine::kData + 1;
    EXPECT_EQ(m.run({0x89, 0x07, 0x0F, 0x0B}), StopReason::kHalted); // mov [rdi],eax; ud2
    EXPECT_EQ(m.vector(), 6u);
}

} // namespace
} // namespace touka::cpu::interpreter
