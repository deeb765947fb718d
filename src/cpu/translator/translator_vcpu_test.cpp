// Programs that a translator gets wrong more easily than an interpreter.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "cpu/interpreter/interpreter_engine.hpp"
#include "cpu/interpreter/program_fixture.hpp"
#include "cpu/interpreter/state_conversion.hpp"
#include "cpu/translator/translator_engine.hpp"

namespace touka::cpu::translator {
namespace {

using interpreter::ProgramMachine;
using namespace spec::x86;

constexpr std::uint64_t kCode = ProgramMachine::kCode, kHigh = ProgramMachine::kHigh, kData = ProgramMachine::kData;
constexpr std::uint64_t kReadWrite = page_entry::P | page_entry::RW | page_entry::US;
constexpr std::uint8_t kOut = 0xE6, kPort = 0xF4; // out 0F4h, al: the program ends

/// Makes a processor stop at its next port access.
class StoppingBus final : public CpuBus {
public:
    std::uint64_t read_memory(spec::GuestAddress, unsigned) override { return ~std::uint64_t{0}; }
    void write_memory(spec::GuestAddress, unsigned, std::uint64_t) override {}
    std::uint32_t read_port(std::uint16_t, unsigned) override { return ~std::uint32_t{0}; }
    void write_port(std::uint16_t, unsigned, std::uint32_t) override { running->kick(); }
    Vcpu* running = nullptr;
};

/// ProgramMachine's memory and starting state on the translator, checked by the interpreter or not. Handlers of
/// exceptions end the program, too.
class Translator : public testing::TestWithParam<Checking> {
protected:
    void SetUp() override {
        auto made = TranslatorEngine::create(*m_.memory, GetParam());
        if (!made) GTEST_SKIP() << "this host's processor has no AVX2 or no BMI2";
        engine_ = std::move(*made);
        vcpu_ = make(*engine_);
        for (unsigned vector = 0; vector < 256; ++vector) {
            m_.poke<std::uint8_t>(ProgramMachine::handler(vector), kOut);
            m_.poke<std::uint8_t>(ProgramMachine::handler(vector) + 1, kPort);
        }
    }

    std::unique_ptr<Vcpu> make(CpuEngine& engine) {
        return std::move(*engine.make_vcpu(0, m_.p.cpuid, {.bus = &bus_, .interrupts = &m_.port}));
    }
    CpuState resume(Vcpu& vcpu, const CpuState& from) {
        bus_.running = &vcpu;
        EXPECT_TRUE(vcpu.set_state(from));
        EXPECT_EQ(vcpu.run(), VcpuExit::kKicked) << vcpu.failure();
        return *vcpu.state();
    }
    /// From the fixture's registers at `rip` until the program ends.
    CpuState run(std::uint64_t rip = kCode) {
        m_.p.rip = rip;
        return resume(*vcpu_, interpreter::capture_state(m_.p));
    }
    void code(std::initializer_list<std::uint8_t> bytes, std::uint64_t at = kCode) {
        m_.code(bytes, at);
        m_.memory->written(spec::GuestAddress{at}, bytes.size());
    }
    [[nodiscard]] static unsigned vector_of(const CpuState& s) {
        return static_cast<unsigned>((s.rip - 2 - ProgramMachine::handler(0)) / 16);
    }
    [[nodiscard]] static std::uint64_t reg(const CpuState& s, Gpr name) {
        return s.gpr[static_cast<std::size_t>(name)];
    }

    ProgramMachine m_;
    StoppingBus bus_;
    std::unique_ptr<TranslatorEngine> engine_;
    std::unique_ptr<Vcpu> vcpu_;
};

TEST_P(Translator, RunsTheNewBytesOfTheVeryNextInstruction) {
    for (int round = 0; round < 3; ++round) {
        // mov byte [rip+1],7; mov eax,1: the immediate becomes 7
        code({0xC6, 0x05, 0x01, 0x00, 0x00, 0x00, 0x07, 0xB8, 0x01, 0x00, 0x00, 0x00, kOut, kPort});
        EXPECT_EQ(reg(run(), Gpr::kRax), 7u);
    }
}

TEST_P(Translator, RunsALoopThatRewritesItselfAtEveryTurn) {
    m_.p.gpr(Gpr::kRcx) = 1000;
    m_.p.gpr(Gpr::kRbx) = 0;
    // L: inc dword [rip+1]; mov eax,0; add ebx,eax; dec ecx; jnz L: EAX is 1, 2, 3, ...
    code({0xFF, 0x05, 0x01, 0x00, 0x00, 0x00, 0xB8, 0x00, 0x00, 0x00, 0x00, 0x01, 0xC3, 0xFF, 0xC9, 0x75, 0xEF, kOut,
          kPort});
    EXPECT_EQ(reg(run(), Gpr::kRbx), 1000u * 1001u / 2u);
}

TEST_P(Translator, ChecksEachAccessWhereAGroupLiesOnTwoPages) {
    m_.use_small_pages();
    m_.map(0, kData + 0x5000, kReadWrite);
    m_.map(1, kData + 0x2000, kReadWrite); // not behind it
    for (int round = 0; round < 3; ++round) {
        m_.p.gpr(Gpr::kRsp) = kHigh + 0x1010;
        m_.p.gpr(Gpr::kRax) = 1;
        m_.p.gpr(Gpr::kRcx) = 2;
        m_.p.gpr(Gpr::kRdx) = 3;
        m_.p.gpr(Gpr::kRbx) = 4;
        // push rax, rcx, rdx, rbx; pop rsi, rdi, rbp, rax
        code({0x50, 0x51, 0x52, 0x53, 0x5E, 0x5F, 0x5D, 0x58, kOut, kPort});
        const CpuState s = run();
        EXPECT_EQ(reg(s, Gpr::kRsi), 4u);
        EXPECT_EQ(reg(s, Gpr::kRdi), 3u);
        EXPECT_EQ(reg(s, Gpr::kRbp), 2u);
        EXPECT_EQ(reg(s, Gpr::kRax), 1u);
        EXPECT_EQ(reg(s, Gpr::kRsp), kHigh + 0x1010);
        EXPECT_EQ(m_.peek(kData + 0x2000), 2u);
        EXPECT_EQ(m_.peek(kData + 0x5FF8), 3u);
    }
}

TEST_P(Translator, PushesTheExactFlagsOfAFaultBetweenTheirWriterAndTheNext) {
    m_.use_small_pages();
    m_.p.gpr(Gpr::kRax) = 5;
    m_.p.gpr(Gpr::kRcx) = kHigh + 0x123;
    m_.p.gpr(Gpr::kRbx) = 77;
    const std::uint64_t stack = m_.p.gpr(Gpr::kRsp);
    code({0x83, 0xF8, 0x06, 0x48, 0x8B, 0x19, 0x31, 0xD2, kOut, kPort}); // cmp eax,6; mov rbx,[rcx]; xor edx,edx
    for (int round = 0; round < 2; ++round) {
        const CpuState s = run();
        EXPECT_EQ(vector_of(s), static_cast<unsigned>(Exception::kPageFault));
        EXPECT_EQ(s.cr2, kHigh + 0x123);
        EXPECT_EQ(reg(s, Gpr::kRbx), 77u);
        const std::uint64_t frame = reg(s, Gpr::kRsp); // error code, RIP, CS, RFLAGS, RSP
        EXPECT_EQ(m_.peek(frame), 0u);
        EXPECT_EQ(m_.peek(frame + 8), kCode + 3);
        EXPECT_EQ(m_.peek(frame + 24) & 0x8D5, 0x95u); // 5 - 6: CF PF AF SF
        EXPECT_EQ(m_.peek(frame + 32), stack);
    }
}

TEST_P(Translator, BringsFlagsHomeBeforeACheckThatComesAheadOfTheirOverwriting) {
    m_.use_small_pages();
    m_.p.gpr(Gpr::kRbx) = kHigh;
    code({0xEB, 0x0E});                                        // jmp to the next
    code({0xF9, 0xEB, 0x0D}, kCode + 0x10);                    // stc; jmp to the next
    code({0x31, 0xD2, 0x89, 0x13, kOut, kPort}, kCode + 0x20); // xor edx,edx; mov [rbx],edx
    for (const std::uint64_t rip : {kCode, kCode + 0x10}) {
        const CpuState s = run(rip);
        EXPECT_EQ(vector_of(s), static_cast<unsigned>(Exception::kPageFault));
        EXPECT_EQ(m_.peek(reg(s, Gpr::kRsp) + 8), kCode + 0x22);
        EXPECT_EQ(m_.peek(reg(s, Gpr::kRsp) + 24) & 0x8D5, 0x44u); // ZF PF
    }
}

TEST_P(Translator, PushesTheExactFlagsWhenAnInstructionThatReadsCarryAloneFaults) {
    m_.use_small_pages();
    m_.map(0, kData, page_entry::P | page_entry::US);
    m_.p.gpr(Gpr::kRbx) = kHigh;
    m_.p.gpr(Gpr::kRax) = 5;
    // mov ecx,[rbx]; cmp eax,6; mov ecx,[rsi]; inc dword [rbx]
    code({0x8B, 0x0B, 0x83, 0xF8, 0x06, 0x8B, 0x0E, 0xFF, 0x03, kOut, kPort});
    m_.p.gpr(Gpr::kRsi) = kData;
    for (int round = 0; round < 2; ++round) {
        const CpuState s = run();
        EXPECT_EQ(vector_of(s), static_cast<unsigned>(Exception::kPageFault));
        EXPECT_EQ(m_.peek(reg(s, Gpr::kRsp) + 8), kCode + 7);
        EXPECT_EQ(m_.peek(reg(s, Gpr::kRsp) + 24) & 0x8D5, 0x95u); // 5 - 6: CF PF AF SF
    }
}

TEST_P(Translator, LeavesRegistersAloneWhenAPushFaults) {
    m_.use_small_pages();
    m_.map(1, kData, kReadWrite);
    m_.p.gpr(Gpr::kRsp) = kHigh + 0x1008;
    code({0x50, 0x50, kOut, kPort}); // push rax twice: the second finds no page
    // Nor would the handler: it gets the TSS' first interrupt stack.
    m_.poke<std::uint8_t>(ProgramMachine::kIdt + 14 * 16 + 4, 1);
    const CpuState s = run();
    EXPECT_EQ(vector_of(s), static_cast<unsigned>(Exception::kPageFault));
    EXPECT_EQ(s.cr2, kHigh + 0xFF8);
    const std::uint64_t frame = reg(s, Gpr::kRsp);
    EXPECT_EQ(m_.peek(frame), std::uint64_t{page_fault::W});
    EXPECT_EQ(m_.peek(frame + 8), kCode + 1);
    EXPECT_EQ(m_.peek(frame + 32), kHigh + 0x1000);
}

TEST_P(Translator, SeesTheSecondPageOfAnInstructionChange) {
    m_.use_small_pages();
    m_.map(0, kData, kReadWrite);
    m_.map(1, kData + 0x3000, kReadWrite);
    code({0xB8, 0x11}, kData + 0xFFE); // mov eax,33332211h from the last two bytes of the page on
    code({0x22, 0x33, 0x33, kOut, kPort}, kData + 0x3000);
    EXPECT_EQ(reg(run(kHigh + 0xFFE), Gpr::kRax), 0x33332211u);
    code({0x44}, kData + 0x3000);
    EXPECT_EQ(reg(run(kHigh + 0xFFE), Gpr::kRax), 0x33334411u);
    code({0x55, 0x66, 0x66, kOut, kPort}, kData + 0x7000);
    m_.map(1, kData + 0x7000, kReadWrite);
    EXPECT_EQ(reg(run(kHigh + 0xFFE), Gpr::kRax), 0x66665511u);
}

TEST_P(Translator, SeesCodeThatAnotherThreadRewrites) {
    code({0xB8, 0x01, 0x00, 0x00, 0x00, 0x83, 0xF8, 0x02, 0x75, 0xF6, kOut, kPort}); // L: mov eax,1; cmp eax,2; jne L
    std::thread writer([this] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20)); // let the loop be translated and linked
        std::atomic_ref(*reinterpret_cast<std::uint8_t*>(m_.memory->base() + kCode + 1)).store(2);
        m_.memory->written(spec::GuestAddress{kCode + 1}, 1);
    });
    EXPECT_EQ(reg(run(), Gpr::kRax), 2u);
    writer.join();
}

TEST_P(Translator, EndsAnEndlessLoopWhenKicked) {
    code({0xEB, 0xFE}); // jmp to itself
    std::thread other([this] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        vcpu_->kick();
    });
    EXPECT_EQ(run().rip, kCode);
    other.join();
}

TEST_P(Translator, TakesAnInterruptBehindTheInstructionAfterSti) {
    m_.port.pending = 0x40;
    // cli; mov ecx,1000; L: dec ecx; jnz L; sti; inc ebx; inc ebx; jmp to itself
    m_.p.gpr(Gpr::kRbx) = 0;
    code({0xFA, 0xB9, 0xE8, 0x03, 0x00, 0x00, 0xFF, 0xC9, 0x75, 0xFC, 0xFB, 0xFF, 0xC3, 0xFF, 0xC3, 0xEB, 0xFE});
    vcpu_->interrupt_target()->interrupt_pending();
    const CpuState s = run();
    EXPECT_EQ(vector_of(s), 0x40u);
    EXPECT_EQ(reg(s, Gpr::kRbx), 1u);
}

TEST_P(Translator, GoesOnWhereAnotherEngineStopped) {
    auto interpreter = interpreter::InterpreterEngine::create(*m_.memory);
    ASSERT_TRUE(interpreter);
    const auto other = make(**interpreter);
    m_.p.cr4 |= cr4::OSFXSR;
    m_.p.gpr(Gpr::kRbx) = 0;
    m_.p.gpr(Gpr::kRcx) = 6;
    // L: inc ebx; cvtsi2sd xmm1,ebx; addsd xmm0,xmm1; out; dec ecx; jnz L; out; jmp to itself
    code({0xFF, 0xC3,  0xF2, 0x0F, 0x2A, 0xCB, 0xF2, 0x0F,  0x58, 0xC1,
          kOut, kPort, 0xFF, 0xC9, 0x75, 0xF0, kOut, kPort, 0xEB, 0xFE});
    constexpr std::uint64_t kEnd = kCode + 18;
    m_.p.rip = kCode;
    CpuState s = interpreter::capture_state(m_.p);
    for (int turn = 0; turn < 7 && s.rip != kEnd; ++turn) s = resume(turn % 2 == 0 ? *vcpu_ : *other, s);
    EXPECT_EQ(s.rip, kEnd);
    double sum = 0;
    std::memcpy(&sum, s.xsave.data() + 160, sizeof(sum)); // XMM0 of the legacy area
    EXPECT_EQ(sum, 21.0);
}

INSTANTIATE_TEST_SUITE_P(Checking, Translator, testing::Values(Checking::kOff, Checking::kEachBlock),
                         [](const auto& checking) { return checking.param == Checking::kOff ? "Off" : "EachBlock"; });

} // namespace
} // namespace touka::cpu::translator
