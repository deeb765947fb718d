// Faults in the middle of translated code.
#include <gtest/gtest.h>

#include "cpu/translator/engine_guest.hpp"

namespace touka::cpu::translator {
namespace {

using namespace spec::x86;
using namespace Xbyak::util;
using Assembler = Xbyak::CodeGenerator;

TEST_P(Translator, ChecksEachAccessWhereAGroupLiesOnTwoPages) {
    m.use_small_pages();
    m.map(0, kData + 0x5000, kReadWrite);
    m.map(1, kData + 0x2000, kReadWrite); // not behind it
    for (int round = 0; round < 3; ++round) {
        m.p.gpr(Gpr::kRsp) = kHigh + 0x1010;
        m.p.gpr(Gpr::kRax) = 1;
        m.p.gpr(Gpr::kRcx) = 2;
        m.p.gpr(Gpr::kRdx) = 3;
        m.p.gpr(Gpr::kRbx) = 4;
        // push rax, rcx, rdx, rbx; pop rsi, rdi, rbp, rax
        code({0x50, 0x51, 0x52, 0x53, 0x5E, 0x5F, 0x5D, 0x58, kOut, kPort});
        const CpuState s = run();
        EXPECT_EQ(reg(s, Gpr::kRsi), 4u);
        EXPECT_EQ(reg(s, Gpr::kRdi), 3u);
        EXPECT_EQ(reg(s, Gpr::kRbp), 2u);
        EXPECT_EQ(reg(s, Gpr::kRax), 1u);
        EXPECT_EQ(reg(s, Gpr::kRsp), kHigh + 0x1010);
        EXPECT_EQ(m.peek(kData + 0x2000), 2u);
        EXPECT_EQ(m.peek(kData + 0x5FF8), 3u);
    }
}

TEST_P(Translator, PushesTheExactFlagsOfAFaultBetweenTheirWriterAndTheNext) {
    m.use_small_pages();
    m.p.gpr(Gpr::kRax) = 5;
    m.p.gpr(Gpr::kRcx) = kHigh + 0x123;
    m.p.gpr(Gpr::kRbx) = 77;
    const std::uint64_t stack = m.p.gpr(Gpr::kRsp);
    code({0x83, 0xF8, 0x06, 0x48, 0x8B, 0x19, 0x31, 0xD2, kOut, kPort}); // cmp eax,6; mov rbx,[rcx]; xor edx,edx
    for (int round = 0; round < 2; ++round) {
        const CpuState s = run();
        EXPECT_EQ(vector_of(s), static_cast<unsigned>(Exception::kPageFault));
        EXPECT_EQ(s.cr2, kHigh + 0x123);
        EXPECT_EQ(reg(s, Gpr::kRbx), 77u);
        const std::uint64_t frame = reg(s, Gpr::kRsp); // error code, RIP, CS, RFLAGS, RSP
        EXPECT_EQ(m.peek(frame), 0u);
        EXPECT_EQ(m.peek(frame + 8), kCode + 3);
        EXPECT_EQ(m.peek(frame + 24) & 0x8D5, 0x95u); // 5 - 6: CF PF AF SF
        EXPECT_EQ(m.peek(frame + 32), stack);
    }
}

TEST_P(Translator, BringsFlagsHomeBeforeACheckThatComesAheadOfTheirOverwriting) {
    m.use_small_pages();
    m.p.gpr(Gpr::kRbx) = kHigh;
    code({0xEB, 0x0E});                                        // jmp to the next
    code({0xF9, 0xEB, 0x0D}, kCode + 0x10);                    // stc; jmp to the next
    code({0x31, 0xD2, 0x89, 0x13, kOut, kPort}, kCode + 0x20); // xor edx,edx; mov [rbx],edx
    for (const std::uint64_t rip : {kCode, kCode + 0x10}) {
        const CpuState s = run(rip);
        EXPECT_EQ(vector_of(s), static_cast<unsigned>(Exception::kPageFault));
        EXPECT_EQ(m.peek(reg(s, Gpr::kRsp) + 8), kCode + 0x22);
        EXPECT_EQ(m.peek(reg(s, Gpr::kRsp) + 24) & 0x8D5, 0x44u); // ZF PF
    }
}

TEST_P(Translator, PushesTheExactFlagsWhenAnInstructionThatReadsCarryAloneFaults) {
    m.use_small_pages();
    m.map(0, kData, kReadOnly);
    m.p.gpr(Gpr::kRbx) = kHigh;
    m.p.gpr(Gpr::kRax) = 5;
    // mov ecx,[rbx]; cmp eax,6; mov ecx,[rsi]; inc dword [rbx]
    code({0x8B, 0x0B, 0x83, 0xF8, 0x06, 0x8B, 0x0E, 0xFF, 0x03, kOut, kPort});
    m.p.gpr(Gpr::kRsi) = kData;
    for (int round = 0; round < 2; ++round) {
        const CpuState s = run();
        EXPECT_EQ(vector_of(s), static_cast<unsigned>(Exception::kPageFault));
        EXPECT_EQ(m.peek(reg(s, Gpr::kRsp) + 8), kCode + 7);
        EXPECT_EQ(m.peek(reg(s, Gpr::kRsp) + 24) & 0x8D5, 0x95u); // 5 - 6: CF PF AF SF
    }
}

TEST_P(Translator, LeavesRegistersAloneWhenAPushFaults) {
    m.use_small_pages();
    m.map(1, kData, kReadWrite);
    m.p.gpr(Gpr::kRsp) = kHigh + 0x1008;
    code({0x50, 0x50, kOut, kPort}); // push rax twice: the second finds no page
    // Nor would the handler: it gets the TSS' first interrupt stack.
    m.poke<std::uint8_t>(interpreter::ProgramMachine::kIdt + 14 * 16 + 4, 1);
    const CpuState s = run();
    EXPECT_EQ(vector_of(s), static_cast<unsigned>(Exception::kPageFault));
    EXPECT_EQ(s.cr2, kHigh + 0xFF8);
    const std::uint64_t frame = reg(s, Gpr::kRsp);
    EXPECT_EQ(m.peek(frame), std::uint64_t{page_fault::W});
    EXPECT_EQ(m.peek(frame + 8), kCode + 1);
    EXPECT_EQ(m.peek(frame + 32), kHigh + 0x1000);
}

/// Faults find the interpreter's state: registers, CR2, error code, flags and memory as they were before the
/// instruction, or as far as it came.
class FaultingInstruction : public BothEngines {
protected:
    static constexpr std::uint64_t kHigh = EngineGuest::kHigh, kData = EngineGuest::kData;
    static constexpr std::uint64_t kPage = spec::kPageSize;

    /// kHigh is a page that may be written; the next one is absent, the third may only be read.
    void SetUp() override {
        BothEngines::SetUp();
        if (IsSkipped()) return;
        prepare([](EngineGuest& g) {
            auto& m = g.m;
            m.use_small_pages();
            m.map(0, kData, EngineGuest::kReadWrite);
            m.map(2, kData + 0x2000, EngineGuest::kReadOnly);
            for (std::uint64_t n = 0; n < 0x3000; n += 8) m.poke(kData + n, n * 0x0123'4567'89AB'CDEF);
            // Exceptions get the first interrupt stack.
            for (const unsigned vector : {6u, 12u, 13u, 14u})
                m.poke<std::uint8_t>(interpreter::ProgramMachine::kIdt + std::uint64_t{vector} * 16 + 4, 1);
            for (unsigned n = 0; n < 16; ++n) m.p.regs.gpr[n] = 0x1111'2222'3333'4444 * (n + std::uint64_t{1});
            m.p.gpr(Gpr::kRsp) = kHigh + 0x800;
            m.p.gpr(Gpr::kRdi) = kHigh + 2 * kPage + 0x10;
            m.p.cr4 |= cr4::OSFXSR | cr4::OSXSAVE;
            m.p.xcr0 = 7;
        });
    }
    void set(Gpr name, std::uint64_t value) {
        prepare([&](EngineGuest& g) { g.m.p.gpr(name) = value; });
    }
    void expect_page_fault(const CpuState& s, std::uint64_t address, std::uint64_t error_code) {
        EXPECT_EQ(EngineGuest::vector_of(s), static_cast<unsigned>(Exception::kPageFault));
        EXPECT_EQ(s.cr2, address);
        EXPECT_EQ(translator_.m.peek(EngineGuest::reg(s, Gpr::kRsp)), error_code);
    }
    /// The translator opens all pages of an instruction before any is accessed: where an earlier access faults, the A
    /// and D bits of a later one's page are set all the same (decisions/007). So they are set here from the start.
    void open_first_page_before() {
        prepare([](EngineGuest& g) {
            using interpreter::SmallMachine;
            constexpr std::uint64_t kSlot = SmallMachine::kDirectory + (kHigh >> 21) * 8;
            g.m.poke(kSlot, g.m.peek(kSlot) | page_entry::A);
            g.m.map(0, kData, EngineGuest::kReadWrite | page_entry::A | page_entry::D);
        });
    }
    /// What write(Assembler&) stores at `address` faults: on a page that the translator meets for the first time, and
    /// on one that it knows from a read, where the host's MMU finds out.
    void expect_refused_store(std::uint64_t address, auto&& read, auto&& write) {
        constexpr std::uint64_t kErrorCode = page_fault::W | page_fault::P;
        expect_page_fault(run_code(write), address, kErrorCode);
        expect_page_fault(run_code([&](Assembler& c) {
                              read(c);
                              write(c);
                          }),
                          address, kErrorCode);
    }
};

TEST_F(FaultingInstruction, PushToAnAbsentPage) {
    set(Gpr::kRsp, kHigh + 2 * kPage);
    expect_page_fault(run_code([](Assembler& c) {
                          c.add(rax, rbx);
                          c.push(rax);
                      }),
                      kHigh + 2 * kPage - 8, page_fault::W);
}

TEST_F(FaultingInstruction, PushOfMemoryFromAnAbsentPage) {
    open_first_page_before();
    set(Gpr::kRsi, kHigh + kPage);
    expect_page_fault(run_code([](Assembler& c) { c.push(c.qword[rsi]); }), kHigh + kPage, 0);
}

TEST_F(FaultingInstruction, PushAcrossABorderIntoAnAbsentPage) {
    set(Gpr::kRsp, kHigh + kPage + 4);
    expect_page_fault(run_code([](Assembler& c) { c.push(rax); }), kHigh + kPage, page_fault::W);
}

TEST_F(FaultingInstruction, PushAndCallToAPageThatMayOnlyBeRead) {
    const auto onto_page = [&](auto&& write) {
        set(Gpr::kRsp, kHigh + 2 * kPage + 0x10);
        expect_refused_store(kHigh + 2 * kPage + 8, [](Assembler& c) { c.mov(rdx, c.qword[rsp - 8]); }, write);
    };
    onto_page([](Assembler& c) { c.push(rbx); });
    onto_page([](Assembler& c) {
        c.cmp(rax, rbx);
        c.call(c.getCurr() + 0x100);
    });
    set(Gpr::kRax, EngineGuest::kCode);
    onto_page([](Assembler& c) { c.call(rax); });
}

TEST_F(FaultingInstruction, ReadModifyWriteOfAPageThatMayOnlyBeRead) {
    const auto at_rdi = [&](auto&& write) {
        expect_refused_store(kHigh + 2 * kPage + 0x10, [](Assembler& c) { c.mov(rdx, c.qword[rdi]); }, write);
    };
    at_rdi([](Assembler& c) { c.add(c.qword[rdi], rax); });
    at_rdi([](Assembler& c) { c.add(c.qword[rdi], r8); });
    at_rdi([](Assembler& c) { c.inc(c.dword[rdi]); });
    at_rdi([](Assembler& c) { c.adc(c.dword[rdi], 5); });
    at_rdi([](Assembler& c) { c.not_(c.byte[rdi]); });
    at_rdi([](Assembler& c) { c.shl(c.qword[rdi], 3); });
    at_rdi([](Assembler& c) { c.xchg(c.qword[rdi], rbx); });
    at_rdi([](Assembler& c) { c.xchg(c.qword[rdi], r9); });
    at_rdi([](Assembler& c) {
        c.lock();
        c.xadd(c.qword[rdi], rbx);
    });
    at_rdi([](Assembler& c) {
        c.lock();
        c.cmpxchg(c.qword[rdi], rbx);
    });
    at_rdi([](Assembler& c) {
        c.lock();
        c.cmpxchg16b(c.xword[rdi]);
    });
}

TEST_F(FaultingInstruction, CompareExchangeOf16BytesThatAreNotAligned) {
    open_first_page_before();
    set(Gpr::kRdi, kHigh + 0x18);
    const CpuState s = run_code([](Assembler& c) { c.cmpxchg16b(c.xword[rdi]); });
    EXPECT_EQ(EngineGuest::vector_of(s), static_cast<unsigned>(Exception::kGeneralProtection));
    EXPECT_LE(translator_.statistics().host_faults, 4u); // it is not tried again and again
}

TEST_F(FaultingInstruction, RepeatedMoveIntoAnAbsentPageStopsAtItsBorder) {
    set(Gpr::kRsi, kHigh + 0x100);
    set(Gpr::kRdi, kHigh + kPage - 37);
    set(Gpr::kRcx, 100);
    const CpuState s = run_code([](Assembler& c) {
        c.rep();
        c.movsb();
    });
    expect_page_fault(s, kHigh + kPage, page_fault::W);
    EXPECT_EQ(EngineGuest::reg(s, Gpr::kRcx), 100u - 37);
    EXPECT_EQ(EngineGuest::reg(s, Gpr::kRdi), kHigh + kPage);
}

TEST_F(FaultingInstruction, SavedStateWhoseSecondPageIsAbsent) {
    set(Gpr::kRax, 7);
    set(Gpr::kRdx, 0);
    set(Gpr::kRdi, kHigh + kPage - 512);
    expect_page_fault(run_code([](Assembler& c) {
                          c.db(0x0F); // xsave [rdi]
                          c.db(0xAE);
                          c.db(0x27);
                      }),
                      kHigh + kPage, page_fault::W);
}

TEST_F(FaultingInstruction, VectorStoreAcrossABorder) {
    set(Gpr::kRdi, kHigh + kPage - 16);
    expect_page_fault(run_code([](Assembler& c) { c.vmovdqu(c.yword[rdi], ymm0); }), kHigh + kPage, page_fault::W);
}

TEST_F(FaultingInstruction, DivisionByZeroAndItsOverflow) {
    set(Gpr::kRcx, 0);
    EXPECT_EQ(EngineGuest::vector_of(run_code([](Assembler& c) { c.div(rcx); })), 0u);
    set(Gpr::kRcx, 1); // RDX is not 0: the quotient has too many bits
    EXPECT_EQ(EngineGuest::vector_of(run_code([](Assembler& c) { c.div(rcx); })), 0u);
}

} // namespace
} // namespace touka::cpu::translator
