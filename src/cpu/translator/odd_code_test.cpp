// Code that no compiler makes.
#include <gtest/gtest.h>

#include "cpu/translator/engine_guest.hpp"

namespace touka::cpu::translator {
namespace {

using namespace spec::x86;
using namespace Xbyak::util;
using Assembler = Xbyak::CodeGenerator;

constexpr std::uint64_t kCode = EngineGuest::kCode;

class OddCode : public BothEngines {
protected:
    CpuState run_bytes(std::initializer_list<std::uint8_t> bytes) {
        prepare([&](EngineGuest& g) {
            g.code(bytes);
            g.end_at(kCode + bytes.size());
        });
        return run();
    }
    void set(Gpr name, std::uint64_t value) {
        prepare([&](EngineGuest& g) { g.m.p.gpr(name) = value; });
    }
    void expect_vector(const CpuState& s, Exception exception) {
        EXPECT_EQ(EngineGuest::vector_of(s), static_cast<unsigned>(exception));
    }
    /// What the exception's frame says, behind its error code.
    [[nodiscard]] std::uint64_t pushed_rip(const CpuState& s) {
        return translator_.m.peek(EngineGuest::reg(s, Gpr::kRsp) + 8);
    }
};

TEST_F(OddCode, JumpsIntoTheMiddleOfAnInstruction) {
    set(Gpr::kRbx, 0);
    // mov eax,90C3FF90h; its bytes from the second on are nop; inc ebx; nop. Then jump there the first time.
    // L: mov eax,...; cmp ebx,1; jae end; jmp L+1; end: out
    const CpuState s = run_bytes({0xB8, 0x90, 0xFF, 0xC3, 0x90, 0x83, 0xFB, 0x01, 0x73, 0x02, 0xEB, 0xF5});
    EXPECT_EQ(EngineGuest::reg(s, Gpr::kRbx), 1u);
    EXPECT_EQ(EngineGuest::reg(s, Gpr::kRax), 0x90C3'FF90u);
}

TEST_F(OddCode, RunsBlocksThatOverlap) {
    set(Gpr::kRax, 0);
    // Enters a run of INCs at each of its places in turn: 8 + 7 + ... + 1.
    const CpuState s = run_code([](Assembler& c) {
        Xbyak::Label run, turn, end;
        c.lea(rbx, c.ptr[rip + run]);
        c.mov(ecx, 8);
        c.L(turn);
        c.jmp(rbx);
        c.L(run);
        for (int n = 0; n < 8; ++n) {
            c.inc(eax); // 2 bytes
        }
        c.add(rbx, 2);
        c.dec(ecx);
        c.jnz(turn, Xbyak::CodeGenerator::T_NEAR);
    });
    EXPECT_EQ(EngineGuest::reg(s, Gpr::kRax), 36u);
}

TEST_F(OddCode, FifteenBytesAreAnInstructionAndSixteenAreNot) {
    constexpr std::uint8_t k66 = 0x66;
    set(Gpr::kRax, 5);
    // 11 prefixes, add eax,imm32 with 16-bit operand: 66... 05 iw is 11 + 1 + 2; one more with 81 C0 iw.
    CpuState s = run_bytes({k66, k66, k66, k66, k66, k66, k66, k66, k66, k66, k66, 0x81, 0xC0, 0x07, 0x00});
    EXPECT_EQ(EngineGuest::reg(s, Gpr::kRax), 12u);
    s = run_bytes({k66, k66, k66, k66, k66, k66, k66, k66, k66, k66, k66, k66, 0x81, 0xC0, 0x07, 0x00});
    expect_vector(s, Exception::kGeneralProtection);
    EXPECT_EQ(pushed_rip(s), kCode);
}

TEST_F(OddCode, RefusesLockWhereItMayNotBe) {
    expect_vector(run_bytes({0x90, 0xF0, 0x01, 0xC8}), Exception::kInvalidOpcode);       // lock add eax,ecx
    expect_vector(run_bytes({0x90, 0xF0, 0x8B, 0x07}), Exception::kInvalidOpcode);       // lock mov eax,[rdi]
    expect_vector(run_bytes({0x90, 0xF0, 0x0F, 0xA3, 0x07}), Exception::kInvalidOpcode); // lock bt [rdi],eax
}

TEST_F(OddCode, RefusesWhatIsNoInstruction) {
    expect_vector(run_bytes({0x90, 0x06}), Exception::kInvalidOpcode);             // push es
    expect_vector(run_bytes({0x90, 0x0F, 0x0B}), Exception::kInvalidOpcode);       // ud2
    expect_vector(run_bytes({0x90, 0xC5, 0xF8, 0xFF}), Exception::kInvalidOpcode); // of no VEX map
}

TEST_F(OddCode, IgnoresSegmentPrefixesAndRexThatComeTooEarly) {
    set(Gpr::kRax, 0xFFFF'FFFF'FFFF'FFFF);
    set(Gpr::kRbx, 1);
    // 48 66 01 D8: REX in front of another prefix counts for nothing: add ax,bx. 2E 01 D8: cs add eax,ebx
    const CpuState s = run_bytes({0x48, 0x66, 0x01, 0xD8, 0x2E, 0x01, 0xD8});
    EXPECT_EQ(EngineGuest::reg(s, Gpr::kRax), 0xFFFF'0001u);
}

TEST_F(OddCode, AccessesOfAddressesThatAreNotCanonicalAreProtectionFaults) {
    for (const std::uint64_t address : {0x0000'8000'0000'0000u, 0xFFFF'7FFF'FFFF'FFF8u, 0x0001'0000'0010'0000u}) {
        set(Gpr::kRsi, address);
        expect_vector(run_code([](Assembler& c) { c.mov(rax, c.qword[rsi]); }), Exception::kGeneralProtection);
        expect_vector(run_code([](Assembler& c) { c.add(c.qword[rsi], rax); }), Exception::kGeneralProtection);
    }
    set(Gpr::kRbp, 0x0000'8000'0000'0000);
    // Through the stack it is a stack fault, which needs another stack.
    prepare([](EngineGuest& g) { g.m.poke<std::uint8_t>(interpreter::ProgramMachine::kIdt + 12 * 16 + 4, 1); });
    expect_vector(run_code([](Assembler& c) { c.mov(rax, c.qword[rbp]); }), Exception::kStack);
    set(Gpr::kRsp, 0x0000'8000'0000'0000);
    expect_vector(run_code([](Assembler& c) { c.pop(rax); }), Exception::kStack);
}

TEST_F(OddCode, JumpsToAddressesThatAreNotCanonicalAreProtectionFaultsOfTheJump) {
    set(Gpr::kRax, 0x0000'8000'0000'0000);
    CpuState s = run_code([](Assembler& c) {
        c.nop();
        c.jmp(rax);
    });
    expect_vector(s, Exception::kGeneralProtection);
    EXPECT_EQ(pushed_rip(s), kCode + 1);
    s = run_code([](Assembler& c) {
        c.nop();
        c.call(rax);
    });
    expect_vector(s, Exception::kGeneralProtection);
    s = run_code([](Assembler& c) {
        c.push(rax);
        c.ret();
    });
    expect_vector(s, Exception::kGeneralProtection);
    EXPECT_EQ(pushed_rip(s), kCode + 1);
}

TEST_F(OddCode, RunsOnPageTablesThatPointToThemselves) {
    constexpr std::uint64_t kAll = EngineGuest::kReadWrite;
    prepare([](EngineGuest& g) {
        g.m.poke(interpreter::SmallMachine::kPml4 + 511 * 8, interpreter::SmallMachine::kPml4 | kAll);
    });
    // The whole tree is seen at the end of the address space; the program writes an entry there and uses it.
    constexpr std::uint64_t kRootSeen = 0xFFFF'FFFF'FFFF'F000;
    set(Gpr::kRdi, kRootSeen);
    set(Gpr::kRsi, 0x0000'0080'0000'0000 + EngineGuest::kData); // by entry 1
    const CpuState s = run_code([](Assembler& c) {
        c.mov(rax, c.qword[rdi]);
        c.mov(c.qword[rdi + 8], rax);
        c.mov(c.dword[rsi], 0x1234);
        c.mov(ebx, c.dword[rsi]);
    });
    EXPECT_EQ(EngineGuest::reg(s, Gpr::kRbx), 0x1234u);
    EXPECT_EQ(translator_.m.peek<std::uint32_t>(EngineGuest::kData), 0x1234u);
}

TEST_F(OddCode, ReadsAllOnesThroughPageTablesThatLeadOutOfMemory) {
    constexpr std::uint64_t kFarOff = 0x10'0000'0000; // behind all RAM, in front of the end of physical addresses
    prepare([](EngineGuest& g) {
        g.m.use_small_pages();
        g.m.map(0, kFarOff, EngineGuest::kReadWrite);
        g.m.poke(interpreter::SmallMachine::kPml4 + 8, kFarOff | EngineGuest::kReadWrite); // a table out there
        g.m.poke<std::uint8_t>(interpreter::ProgramMachine::kIdt + 14 * 16 + 4, 1);
    });
    set(Gpr::kRsi, EngineGuest::kHigh);
    const CpuState s = run_code([](Assembler& c) {
        c.mov(rax, c.qword[rsi]);
        c.mov(c.qword[rsi + 8], rax);
    });
    EXPECT_EQ(EngineGuest::reg(s, Gpr::kRax), ~std::uint64_t{0});
    set(Gpr::kRsi, 0x0000'0080'0000'0000);
    expect_vector(run_code([](Assembler& c) { c.mov(rax, c.qword[rsi]); }), Exception::kPageFault);
}

} // namespace
} // namespace touka::cpu::translator
