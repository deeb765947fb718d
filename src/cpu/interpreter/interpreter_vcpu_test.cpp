#include "cpu/interpreter/interpreter_vcpu.hpp"

#include <gtest/gtest.h>

#include <semaphore>
#include <thread>

#include "cpu/interpreter/host_avx512.hpp"
#include "cpu/interpreter/interpreter_engine.hpp"
#include "cpu/interpreter/processor_fixture.hpp"
#include "cpu/interpreter/state_conversion.hpp"
#include "cpu/interpreter/tsc_frequency.hpp"
#include "spec/x86/debug_register.hpp"

namespace touka::cpu::interpreter {
namespace {

using namespace spec::x86;
using Vendor = ProcessorModel::Vendor;

/// Says when the guest wrote to a port, for tests with threads.
class SignallingBus final : public CpuBus {
public:
    std::uint64_t read_memory(spec::GuestAddress, unsigned) override { return ~std::uint64_t{0}; }
    void write_memory(spec::GuestAddress, unsigned, std::uint64_t) override {}
    std::uint32_t read_port(std::uint16_t, unsigned) override { return ~std::uint32_t{0}; }
    void write_port(std::uint16_t, unsigned, std::uint32_t value) override {
        last = value;
        written.release();
    }
    std::atomic<std::uint32_t> last{0};
    std::counting_semaphore<16> written{0};
};

class VcpuTest : public testing::Test {
protected:
    VcpuTest() : vcpu(*m.memory, bus, m.port, small_cpuid(Vendor::kAmd)) {}
    ~VcpuTest() override { stop(); }

    void start() {
        thread = std::thread([this] { exit = vcpu.run(); });
    }
    void stop() {
        if (!thread.joinable()) return;
        vcpu.kick();
        thread.join();
    }
    /// Long mode at kCode with these bytes there.
    void load(std::initializer_list<std::uint8_t> code) {
        m.set_up_long_mode();
        m.place(SmallMachine::kCode, std::span(code.begin(), code.size()));
        ASSERT_TRUE(vcpu.set_state(capture_state(m.p)));
    }
    void handle(unsigned vector, std::initializer_list<std::uint8_t> code) {
        m.place(SmallMachine::handler(vector), std::span(code.begin(), code.size()));
    }

    SmallMachine m;
    SignallingBus bus;
    InterpreterVcpu vcpu;
    std::thread thread;
    VcpuExit exit = VcpuExit::kFailed;
};

// mov al, 42h; out 80h, al; hlt
constexpr std::initializer_list<std::uint8_t> kSay42{0xB0, 0x42, 0xE6, 0x80, 0xF4};

TEST_F(VcpuTest, GoesFromRealModeOverProtectedToLongMode) {
    constexpr std::array<std::uint8_t, 105> kProgram{
        0xFA,                                           //        cli
        0x2E, 0x66, 0x0F, 0x01, 0x16, 0x18, 0x00,       //        lgdt cs:[18h]
        0x0F, 0x20, 0xC0, 0x0C, 0x01, 0x0F, 0x22, 0xC0, //        cr0 |= PE
        0x66, 0xEA, 0x1E, 0x80, 0x00, 0x00, 0x18, 0x00, //        jmp 18h:801Eh
        0x57, 0x00, 0x00, 0x50, 0x00, 0x00,             // 18h:   GDT at 5000h
        0x66, 0xB8, 0x10, 0x00, 0x8E, 0xD8, 0x8E, 0xD0, // 1Eh:   ds = ss = 10h
        0xBC, 0x00, 0x00, 0x01, 0x00,                   //        esp = 10000h
        0xB8, 0x00, 0x10, 0x00, 0x00, 0x0F, 0x22, 0xD8, //        cr3 = 1000h
        0xB8, 0x20, 0x00, 0x00, 0x00, 0x0F, 0x22, 0xE0, //        cr4 = PAE
        0xB9, 0x80, 0x00, 0x00, 0xC0, 0x0F, 0x32,       //        rdmsr EFER
        0x0D, 0x00, 0x01, 0x00, 0x00, 0x0F, 0x30,       //        |= LME; wrmsr
        0x0F, 0x20, 0xC0, 0x0D, 0x00, 0x00, 0x00, 0x80, //        cr0 |= PG
        0x0F, 0x22, 0xC0,                               //
        0xEA, 0x5B, 0x80, 0x00, 0x00, 0x08, 0x00,       //        jmp 8:805Bh
        0x48, 0xBB, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, // 5Bh:   mov rbx, 1122334455667788h
        0x22, 0x11,                                     //
        0x53, 0xE6, 0x80, 0xF4};                        //        push rbx; out 80h, al; hlt
    m.set_up_long_mode();                               // for the tables in memory
    m.place(0x8000, kProgram);
    vcpu.processor().run_state = RunState::kWaitForSipi;
    vcpu.signal_startup(8);
    start();
    bus.written.acquire();
    stop();
    EXPECT_EQ(exit, VcpuExit::kKicked);
    const CpuState state = *vcpu.state();
    EXPECT_EQ(state.gpr[3], 0x1122'3344'5566'7788u);
    EXPECT_EQ(m.peek(0xFFF8), 0x1122'3344'5566'7788u);
    EXPECT_EQ(vcpu.processor().code_size, CodeSize::k64);
    EXPECT_EQ(state.cr0 & (cr0::PE | cr0::PG), cr0::PE | cr0::PG);
}

TEST_F(VcpuTest, AnApplicationProcessorWaitsForInitAndStartup) {
    OneVectorPort second_port;
    second_port.msrs[msr::kApicBase] = 0xFEE0'0800; // not the boot processor
    InterpreterVcpu second(*m.memory, bus, second_port, small_cpuid(Vendor::kAmd));
    ASSERT_EQ(second.state()->run_state, RunState::kWaitForSipi);
    m.place(0x9000, std::span(kSay42.begin(), kSay42.size()));
    std::thread runner([&] { exit = second.run(); });
    second.signal_init();
    second.signal_startup(9);
    bus.written.acquire();
    second.signal_startup(9); // the second one of the usual pair is dropped
    second.kick();
    runner.join();
    EXPECT_EQ(bus.last, 0x42u);
    EXPECT_LE(second_port.init_count, 1u);
    EXPECT_EQ(second.processor().segment(SegmentName::kCs).base, 0x9000u);
}

TEST_F(VcpuTest, AnInterruptOfAnotherThreadEndsHlt) {
    load({0xFB, 0xF4}); // sti; hlt
    handle(0x30, kSay42);
    start();
    m.port.pending = 0x30;
    vcpu.interrupt_pending();
    bus.written.acquire();
    EXPECT_EQ(bus.last, 0x42u);
}

TEST_F(VcpuTest, AnNmiEndsHltWithInterruptsOff) {
    load({0xF4});
    handle(2, kSay42);
    start();
    vcpu.signal_nmi();
    bus.written.acquire();
    EXPECT_EQ(bus.last, 0x42u);
}

TEST_F(VcpuTest, AKickBeforeRunIsNotLost) {
    load({0xEB, 0xFE}); // jmp $
    vcpu.kick();
    EXPECT_EQ(vcpu.run(), VcpuExit::kKicked);
    EXPECT_EQ(vcpu.state()->rip, SmallMachine::kCode);
}

TEST_F(VcpuTest, AKickEndsALoop) {
    load({0xE6, 0x80, 0xEB, 0xFE}); // out 80h, al; jmp $
    start();
    bus.written.acquire();
    stop();
    EXPECT_EQ(exit, VcpuExit::kKicked);
}

TEST_F(VcpuTest, ATripleFaultShutsDownAndSaysWhere) {
    load({0x0F, 0x0B}); // ud2
    vcpu.processor().idtr.limit = 0;
    EXPECT_EQ(vcpu.run(), VcpuExit::kShutdown);
    EXPECT_NE(vcpu.failure().find("triple fault"), std::string::npos);
    EXPECT_NE(vcpu.failure().find("rip 0000000000050000"), std::string::npos);
    EXPECT_EQ(vcpu.run(), VcpuExit::kShutdown);
}

TEST_F(VcpuTest, ReportsTheRegistersThatAreNotThere) {
    load({0xB9, 0x78, 0x56, 0x34, 0x12, 0x0F, 0x32, 0xF4}); // mov ecx, 12345678h; rdmsr; hlt
    EXPECT_EQ(vcpu.report(), "");
    vcpu.processor().idtr.limit = 0;
    EXPECT_EQ(vcpu.run(), VcpuExit::kShutdown);
    EXPECT_EQ(vcpu.report(), "msr 12345678\n");
}

TEST_F(VcpuTest, InitOfTheBootProcessorStartsItAtTheResetVector) {
    load({0xEB, 0xFE});
    vcpu.signal_init();
    vcpu.kick();
    EXPECT_EQ(vcpu.run(), VcpuExit::kKicked);
    const CpuState state = *vcpu.state();
    EXPECT_EQ(state.rip, 0xFFF0u);
    EXPECT_EQ(state.cr0 & cr0::PE, 0u);
    EXPECT_EQ(m.port.init_count, 1u);
}

TEST_F(VcpuTest, PowerOnIsTheStateOfTheManuals) {
    const CpuState state = *vcpu.state();
    EXPECT_EQ(state.cr0, 0x6000'0010u);
    EXPECT_EQ(state.rflags, 2u);
    EXPECT_EQ(state.segment[1].base, 0xFFFF'0000u);
    EXPECT_EQ(state.segment[1].selector, 0xF000u);
    EXPECT_EQ(state.gpr[2], 0x00A2'0F10u);
    EXPECT_EQ(state.dr[6], 0xFFFF'0FF0u);
    EXPECT_EQ(state.dr[7], 0x400u);
    EXPECT_EQ(state.xcr0, 1u);
    EXPECT_EQ(state.run_state, RunState::kRunning);
}

TEST_F(VcpuTest, AStateSurvivesTheRoundTrip) {
    load({0xF4});
    CpuState state = *vcpu.state();
    state.rflags = rflags::FIXED | rflags::IF | rflags::OF | rflags::SF;
    for (std::size_t n = 0; n < 16; ++n) state.gpr[n] = 0x1111'1111'1111'1111 * n;
    state.cr2 = 0xFFFF'8000'0000'0000;
    state.cr4 |= cr4::OSXSAVE | cr4::OSFXSR;
    state.xcr0 = 7;
    state.dr[0] = 0x1234;
    state.segment[4].base = 0x7FFF'1234'5678;
    state.interrupt_shadow = state.debug_shadow = true;
    state.pending_debug = dr6::B0;
    state.nmi_blocked = true;
    state.nmi_pending = true;
    state.run_state = RunState::kHalted;
    state.pending_event = PendingEvent{PendingEvent::Kind::kException, 14, 6, 0x1000};
    ASSERT_TRUE(vcpu.set_state(state));
    CpuState again = *vcpu.state();
    const auto without_tsc = [](CpuState s) {
        std::erase_if(s.msrs, [](const MsrValue& v) { return v.index == msr::kTsc; });
        return s;
    };
    EXPECT_EQ(without_tsc(again), without_tsc(state));
    InterpreterVcpu other(*m.memory, bus, m.port, small_cpuid(Vendor::kAmd));
    ASSERT_TRUE(other.set_state(again));
    EXPECT_EQ(without_tsc(*other.state()), without_tsc(state));
}

TEST_F(VcpuTest, VectorRegistersTravelWithTheState) {
    load({0xF4});
    CpuState state = *vcpu.state();
    state.xcr0 = 7;
    vcpu.processor().regs.vector[5].fill(0xA5);
    const CpuState saved = *vcpu.state();
    ASSERT_TRUE(vcpu.set_state(state));
    EXPECT_NE(vcpu.state()->xsave, saved.xsave);
    ASSERT_TRUE(vcpu.set_state(saved));
    EXPECT_EQ(vcpu.processor().regs.vector[5][31], 0xA5);
}

TEST_F(VcpuTest, ImpossibleStatesAreRefused) {
    load({0xF4});
    const CpuState good = *vcpu.state();
    const auto refused = [&](auto change) {
        CpuState bad = good;
        change(bad);
        const auto result = vcpu.set_state(bad);
        return !result && result.error() == CpuError::kInvalidState;
    };
    EXPECT_TRUE(refused([](CpuState& s) { s.cr0 &= ~cr0::PE; }));
    EXPECT_TRUE(refused([](CpuState& s) { s.cr0 |= std::uint64_t{1} << 40; }));
    EXPECT_TRUE(refused([](CpuState& s) { s.cr4 &= ~cr4::PAE; }));
    EXPECT_TRUE(refused([](CpuState& s) { s.cr4 |= cr4::LA57; }));
    EXPECT_TRUE(refused([](CpuState& s) { s.rflags |= rflags::VM; }));
    EXPECT_TRUE(refused([](CpuState& s) { s.rip = 0x8000'0000'0000; }));
    EXPECT_TRUE(refused([](CpuState& s) { s.cr3 = std::uint64_t{1} << 45; }));
    EXPECT_TRUE(refused([](CpuState& s) { s.gdtr.base = 0x8000'0000'0000; }));
    EXPECT_TRUE(refused([](CpuState& s) { s.segment[5].base = 0x8000'0000'0000; }));
    EXPECT_TRUE(refused([](CpuState& s) { s.segment[1].attributes |= attribute::DB; }));
    EXPECT_TRUE(refused([](CpuState& s) { s.segment[2].attributes |= attribute::DPL; }));
    EXPECT_TRUE(refused([](CpuState& s) { s.xcr0 = 4; }));
    EXPECT_TRUE(refused([](CpuState& s) { s.xsave.resize(100); }));
    EXPECT_TRUE(refused([](CpuState& s) { s.run_state = static_cast<RunState>(9); }));
    EXPECT_TRUE(
        refused([](CpuState& s) { s.pending_event = PendingEvent{PendingEvent::Kind::kException, 77, {}, 0}; }));
    EXPECT_TRUE(refused([](CpuState& s) {
        for (MsrValue& v : s.msrs)
            if (v.index == msr::kEfer) v.value &= ~efer::LMA;
    }));
    EXPECT_TRUE(vcpu.set_state(good));
}

TEST(InterpreterEngine, MakesVcpusThatTellTheirInterruptTarget) {
    const auto memory = std::move(*memory::GuestMemory::create(1 << 20));
    const auto engine = std::move(*InterpreterEngine::create(*memory));
    EXPECT_EQ(engine->name(), "interpreter");
    EXPECT_FALSE(engine->has_interrupt_chips());
    SignallingBus bus;
    OneVectorPort port;
    const auto vcpu = std::move(*engine->make_vcpu(0, small_cpuid(Vendor::kAmd), {&bus, &port}));
    EXPECT_NE(vcpu->interrupt_target(), nullptr);
    const std::uint64_t first = vcpu->guest_tsc();
    EXPECT_GT(vcpu->guest_tsc(), first);
    EXPECT_FALSE(engine->make_vcpu(1, small_cpuid(Vendor::kAmd), {&bus, nullptr}));
}

TEST(InterpreterEngine, OffersNothingItCannotExecute) {
    const auto memory = std::move(*memory::GuestMemory::create(1 << 20));
    const CpuFeatures f = (*InterpreterEngine::create(*memory))->features();
    EXPECT_EQ(f.leaf1_ecx & (cpuid::leaf1_ecx::MONITOR | cpuid::leaf1_ecx::VMX), 0u);
    EXPECT_EQ(f.leaf7_edx & (cpuid::leaf7_edx::AVX512_FP16 | cpuid::leaf7_edx::AMX_TILE), 0u);
    EXPECT_EQ(f.leaf7_ecx & (cpuid::leaf7_ecx::LA57 | cpuid::leaf7_ecx::PKU), 0u);
    EXPECT_EQ(f.extended1_ecx & cpuid::extended1_ecx::SVM, 0u);
    EXPECT_EQ(f.leaf13_1_eax & cpuid::leaf13_1_eax::XSAVES, 0u);
    const bool has_avx512 = (f.leaf7_ebx & cpuid::leaf7_ebx::AVX512F) != 0;
    EXPECT_EQ(has_avx512, host_has_avx512());
    EXPECT_EQ(f.xcr0, has_avx512 ? 0xE7u : 7u);
}

TEST(TscFrequency, IsThatOfAProcessorAndStaysTheSame) {
    const std::uint64_t hz = host_tsc_frequency_hz();
    EXPECT_GT(hz, 500'000'000u);
    EXPECT_LT(hz, 10'000'000'000u);
    EXPECT_EQ(host_tsc_frequency_hz(), hz);
}

TEST_F(VcpuTest, ItsStateHasTheInitAndStartupThatWereAskedMeanwhile) {
    load({0xF4});
    m.port.msrs[msr::kApicBase] = 0xFEE0'0800; // not the boot processor
    vcpu.signal_init();
    EXPECT_EQ(vcpu.state()->run_state, RunState::kWaitForSipi);
    EXPECT_EQ(m.port.init_count, 1u);
    vcpu.signal_startup(9);
    const CpuState started = *vcpu.state();
    EXPECT_EQ(started.run_state, RunState::kRunning);
    EXPECT_EQ(started.segment[1].base, 0x9000u);
    EXPECT_EQ(m.port.init_count, 1u);
}

TEST_F(VcpuTest, ANmiThatItsStateTookAlongIsNotThereASecondTime) {
    load({0xF4});
    const CpuState before = *vcpu.state();
    vcpu.signal_nmi();
    EXPECT_TRUE(vcpu.state()->nmi_pending);
    ASSERT_TRUE(vcpu.set_state(before));
    EXPECT_FALSE(vcpu.state()->nmi_pending);
}

TEST_F(VcpuTest, AskingForTheStateLeavesAKick) {
    load({0xEB, 0xFE}); // jmp .
    vcpu.kick();
    ASSERT_TRUE(vcpu.state());
    EXPECT_EQ(vcpu.run(), VcpuExit::kKicked);
}

} // namespace
} // namespace touka::cpu::interpreter
