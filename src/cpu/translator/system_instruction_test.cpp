// What kernels and C libraries do all the time, in translated code: only what a control register refuses is left over.
#include <gtest/gtest.h>

#include "cpu/translator/engine_guest.hpp"

namespace touka::cpu::translator {
namespace {

using namespace spec::x86;
using namespace Xbyak::util;
using Assembler = Xbyak::CodeGenerator;

void put(Assembler& a, std::initializer_list<std::uint8_t> bytes) { a.db(bytes.begin(), bytes.size()); }

/// At CPL 3, where ports are allowed.
class UserTranslator : public Translator {
protected:
    UserTranslator() : Translator(true) { m.p.system_flags |= rflags::IOPL; }
    [[nodiscard]] std::uint64_t times_interpreted(ZydisMnemonic mnemonic) const {
        const auto counts = statistics().untranslated;
        return mnemonic < counts.size() ? counts[mnemonic] : 0;
    }
};

TEST_P(UserTranslator, ReadsTheTimeStampAndItsAuxiliaryValue) {
    m.p.msr.tsc_aux = 7;
    m.p.gpr(Gpr::kRcx) = ~0ull;
    assemble([](Assembler& a) {
        a.rdtsc();
        a.shl(rdx, 32);
        a.lea(rsi, ptr[rdx + rax]);
        a.rdtscp();
        a.shl(rdx, 32);
        a.lea(rax, ptr[rdx + rax]);
        a.sub(rax, rsi);
    });
    const CpuState s = run();
    EXPECT_EQ(reg(s, Gpr::kRcx), 7u);
    EXPECT_GT(reg(s, Gpr::kRax), 0u);
    EXPECT_LT(reg(s, Gpr::kRax), 1ull << 40);
    EXPECT_EQ(times_interpreted(ZYDIS_MNEMONIC_RDTSC) + times_interpreted(ZYDIS_MNEMONIC_RDTSCP), 0u);
}

TEST_P(UserTranslator, IsRefusedTheTimeStampWhenTheKernelSaysSo) {
    m.p.cr4 |= cr4::TSD;
    m.p.gpr(Gpr::kRax) = 0x1234;
    for (const bool with_auxiliary : {false, true}) {
        assemble([&](Assembler& a) {
            a.cmp(eax, 0x1235); // CF, which the handler sees
            with_auxiliary ? a.rdtscp() : a.rdtsc();
        });
        const CpuState s = run();
        EXPECT_EQ(vector_of(s), static_cast<unsigned>(Exception::kGeneralProtection));
        EXPECT_EQ(reg(s, Gpr::kRax), 0x1234u);
        EXPECT_EQ(m.peek(reg(s, Gpr::kRsp) + 8), kCode + 5);
        EXPECT_EQ(m.peek(reg(s, Gpr::kRsp) + 24) & rflags::CF, rflags::CF);
    }
}

TEST_P(UserTranslator, SetsSegmentBasesThatItsAccessesThenUse) {
    m.p.cr4 |= cr4::FSGSBASE;
    m.poke<std::uint64_t>(kData + 0x18, 0x1122'3344'5566'7788);
    m.p.gpr(Gpr::kRbx) = kData;
    m.p.gpr(Gpr::kR15) = kData + 8;
    assemble([](Assembler& a) {
        put(a, {0xF3, 0x48, 0x0F, 0xAE, 0xD3});                // wrfsbase rbx
        put(a, {0xF3, 0x49, 0x0F, 0xAE, 0xDF});                // wrgsbase r15
        put(a, {0x64, 0x48, 0x8B, 0x04, 0x25, 0x18, 0, 0, 0}); // mov rax,fs:[18h]
        put(a, {0x65, 0x48, 0x8B, 0x0C, 0x25, 0x10, 0, 0, 0}); // mov rcx,gs:[10h]
        put(a, {0xF3, 0x48, 0x0F, 0xAE, 0xC2});                // rdfsbase rdx
        a.mov(rsi, -1);
        put(a, {0xF3, 0x0F, 0xAE, 0xCE}); // rdgsbase esi
    });
    const CpuState s = run();
    EXPECT_EQ(reg(s, Gpr::kRax), 0x1122'3344'5566'7788u);
    EXPECT_EQ(reg(s, Gpr::kRcx), 0x1122'3344'5566'7788u);
    EXPECT_EQ(reg(s, Gpr::kRdx), kData);
    EXPECT_EQ(reg(s, Gpr::kRsi), kData + 8);
    EXPECT_EQ(times_interpreted(ZYDIS_MNEMONIC_WRFSBASE) + times_interpreted(ZYDIS_MNEMONIC_RDGSBASE), 0u);
}

TEST_P(UserTranslator, TakesAShortSegmentBaseAsItIs) {
    m.p.cr4 |= cr4::FSGSBASE;
    m.p.gpr(Gpr::kRbx) = 0xFFFF'0000'8000'0000; // not canonical, but for its lower half
    assemble([](Assembler& a) {
        put(a, {0xF3, 0x0F, 0xAE, 0xD3});       // wrfsbase ebx
        put(a, {0xF3, 0x48, 0x0F, 0xAE, 0xC0}); // rdfsbase rax
    });
    EXPECT_EQ(reg(run(), Gpr::kRax), 0x8000'0000u);
}

TEST_P(UserTranslator, KeepsItsSegmentBaseWhenANewOneIsNotCanonical) {
    m.p.cr4 |= cr4::FSGSBASE;
    m.p.segment(SegmentName::kFs).base = 0x1000;
    for (const std::uint64_t wrong : {0x8000'0000'0000ull, 0xFFFF'7FFF'FFFF'FFFFull}) {
        m.p.gpr(Gpr::kRbx) = wrong;
        assemble([](Assembler& a) { put(a, {0xF3, 0x48, 0x0F, 0xAE, 0xD3}); }); // wrfsbase rbx
        const CpuState s = run();
        EXPECT_EQ(vector_of(s), static_cast<unsigned>(Exception::kGeneralProtection)) << std::hex << wrong;
        EXPECT_EQ(m.p.segment(SegmentName::kFs).base, 0x1000u);
        EXPECT_EQ(m.peek(reg(s, Gpr::kRsp) + 8), kCode);
    }
}

TEST_P(UserTranslator, KnowsNoSegmentBaseInstructionsUntilTheKernelAllowsThem) {
    for (const std::uint8_t modrm : std::array<std::uint8_t, 4>{0xC3, 0xCB, 0xD3, 0xDB}) {
        code({0xF3, 0x48, 0x0F, 0xAE, modrm, kOut, kPort, 0xEB, 0xFE});
        m.p.cr4 &= ~cr4::FSGSBASE;
        EXPECT_EQ(vector_of(run()), static_cast<unsigned>(Exception::kInvalidOpcode)) << unsigned{modrm};
        m.p.cr4 |= cr4::FSGSBASE; // the same translation
        m.p.gpr(Gpr::kRbx) = kData;
        EXPECT_EQ(run().rip, kCode + 5 + kOutBytes) << unsigned{modrm};
    }
}

INSTANTIATE_TEST_SUITE_P(Checking, UserTranslator, testing::ValuesIn(kCheckings), checking_name);

TEST_F(BothEngines, StoreASelectorAsWideAsItsOperandIs) {
    run_code([](Assembler& a) {
        for (const auto& to : {rax, rbx, r11, r15}) a.mov(to, -1);
        put(a, {0x66, 0x8C, 0xD8});       // mov ax,ds: the rest stays
        put(a, {0x66, 0x8C, 0xD3});       // mov bx,ss
        put(a, {0x66, 0x41, 0x8C, 0xE3}); // mov r11w,fs
        put(a, {0x66, 0x41, 0x8C, 0xCF}); // mov r15w,cs
        a.mov(rsi, EngineGuest::kData);
        a.mov(qword[rsi], -1);
        put(a, {0x8C, 0x4E, 0x02});       // mov [rsi+2],cs: two bytes
        put(a, {0x48, 0x8C, 0x5E, 0x04}); // mov [rsi+4],ds: likewise with REX.W
        a.mov(rdx, ptr[rsi]);
    });
}

TEST_F(BothEngines, FaultWhereASelectorCannotBeStored) {
    prepare([](EngineGuest& g) {
        g.m.use_small_pages();
        g.m.map(0, EngineGuest::kData, EngineGuest::kReadWrite);
        g.m.p.gpr(Gpr::kRsi) = EngineGuest::kHigh + 0xFFF; // one byte on a page that is absent
        g.assemble([](Assembler& a) {
            a.cmp(esi, 1);
            put(a, {0x8C, 0x1E}); // mov [rsi],ds
        });
    });
    const CpuState s = run();
    EXPECT_EQ(EngineGuest::vector_of(s), static_cast<unsigned>(Exception::kPageFault));
    EXPECT_EQ(s.cr2, EngineGuest::kHigh + 0x1000);
}

TEST_F(BothEngines, DoNothingWithStringsOfNoElementsWhereverTheyLie) {
    for (const std::uint64_t page : {0, 1}) { // there, and not accessed afterwards; not there
        prepare([&](EngineGuest& g) {
            g.m.use_small_pages();
            g.m.map(0, EngineGuest::kData, EngineGuest::kReadWrite);
            g.m.p.gpr(Gpr::kRsi) = g.m.p.gpr(Gpr::kRdi) = EngineGuest::kHigh + page * spec::kPageSize;
            g.m.p.gpr(Gpr::kRcx) = 0;
            g.assemble([](Assembler& a) {
                a.rep();
                a.movsb();
                a.rep();
                a.stosq();
            });
        });
        EXPECT_EQ(run().cr2, 0u);
    }
}

TEST_F(BothEngines, FaultAtTheFirstElementOfAStringThatIsNotThere) {
    for (const std::uint64_t there : {0, 1}) {
        prepare([&](EngineGuest& g) {
            g.m.use_small_pages();
            g.m.map(there, EngineGuest::kData, EngineGuest::kReadWrite);
            g.m.p.gpr(Gpr::kRsi) = EngineGuest::kHigh + 0x10;
            g.m.p.gpr(Gpr::kRdi) = EngineGuest::kHigh + 0x1020;
            g.m.p.gpr(Gpr::kRcx) = 3;
            g.assemble([](Assembler& a) {
                a.rep();
                a.movsw();
            });
        });
        const CpuState s = run();
        EXPECT_EQ(EngineGuest::vector_of(s), static_cast<unsigned>(Exception::kPageFault));
        EXPECT_EQ(s.cr2, EngineGuest::kHigh + (there == 0 ? 0x1020 : 0x10));
        EXPECT_EQ(EngineGuest::reg(s, Gpr::kRcx), 3u);
    }
}

} // namespace
} // namespace touka::cpu::translator
