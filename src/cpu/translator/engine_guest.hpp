// Small programs on whole vCPUs, for tests: what a program did, on the translator or on the interpreter.
#pragma once

#include <gtest/gtest.h>
#include <xbyak/xbyak.h>

#include <array>
#include <memory>
#include <string>

#include "cpu/interpreter/interpreter_engine.hpp"
#include "cpu/interpreter/program_fixture.hpp"
#include "cpu/interpreter/state_conversion.hpp"
#include "cpu/translator/translator_engine.hpp"

namespace touka::cpu::translator {

/// Makes a processor stop at its next port access.
class StoppingBus final : public CpuBus {
public:
    std::uint64_t read_memory(spec::GuestAddress, unsigned) override { return ~std::uint64_t{0}; }
    void write_memory(spec::GuestAddress, unsigned, std::uint64_t) override {}
    std::uint32_t read_port(std::uint16_t, unsigned) override { return ~std::uint32_t{0}; }
    void write_port(std::uint16_t, unsigned, std::uint32_t) override { running->kick(); }
    Vcpu* running = nullptr;
};

/// ProgramMachine's memory and starting state on an engine. A program ends with its first OUT, behind which it jumps to
/// itself: the interpreter looks at requests behind a block. Handlers of exceptions are such programs, so that where a
/// program ended tells what happened.
struct EngineGuest {
    static constexpr std::uint64_t kCode = interpreter::ProgramMachine::kCode;
    static constexpr std::uint64_t kHigh = interpreter::ProgramMachine::kHigh;
    static constexpr std::uint64_t kData = interpreter::ProgramMachine::kData;
    static constexpr std::uint64_t kReadOnly = spec::x86::page_entry::P | spec::x86::page_entry::US;
    static constexpr std::uint64_t kReadWrite = kReadOnly | spec::x86::page_entry::RW;
    static constexpr std::uint8_t kOut = 0xE6, kPort = 0xF4; ///< out 0F4h,al
    static constexpr std::uint64_t kOutBytes = 2;

    explicit EngineGuest(bool user = false) : m(user) {
        for (unsigned vector = 0; vector < 256; ++vector) end_at(interpreter::ProgramMachine::handler(vector));
    }
    /// @return false when the engine does not exist on this host.
    [[nodiscard]] bool start(auto made) {
        if (!made) return false;
        engine = std::move(*made);
        vcpu = make(*engine);
        return true;
    }
    std::unique_ptr<Vcpu> make(CpuEngine& of) {
        return std::move(*of.make_vcpu(0, m.p.cpuid, {.bus = &bus, .interrupts = &m.port}));
    }
    CpuState resume(Vcpu& on, const CpuState& from) {
        bus.running = &on;
        EXPECT_TRUE(on.set_state(from));
        EXPECT_EQ(on.run(), VcpuExit::kKicked) << on.failure();
        return *on.state();
    }
    /// From the machine's registers at `rip` until the program ends.
    CpuState run(std::uint64_t rip = kCode) {
        m.p.rip = rip;
        return resume(*vcpu, interpreter::capture_state(m.p));
    }

    void code(std::initializer_list<std::uint8_t> bytes, std::uint64_t at = kCode) {
        m.code(bytes, at);
        m.memory->written(spec::GuestAddress{at}, bytes.size());
    }
    /// What write(Xbyak::CodeGenerator&) assembles, and an end behind it. @return its length without the end.
    std::uint64_t assemble(auto&& write, std::uint64_t at = kCode) {
        Xbyak::CodeGenerator assembler(spec::kPageSize * 256);
        write(assembler);
        m.place(at, {assembler.getCode(), assembler.getSize()});
        m.memory->written(spec::GuestAddress{at}, assembler.getSize());
        end_at(at + assembler.getSize());
        return assembler.getSize();
    }
    void end_at(std::uint64_t at) { code({kOut, kPort, 0xEB, 0xFE}, at); }

    /// Of the exception whose handler the program ended in.
    [[nodiscard]] static unsigned vector_of(const CpuState& s) {
        return static_cast<unsigned>((s.rip - kOutBytes - interpreter::ProgramMachine::handler(0)) / 16);
    }
    /// @pre it runs on the translator.
    [[nodiscard]] Statistics statistics() const { return dynamic_cast<const TranslatorVcpu&>(*vcpu).statistics(); }
    [[nodiscard]] static std::uint64_t reg(const CpuState& s, Gpr name) {
        return s.gpr[static_cast<std::size_t>(name)];
    }

    interpreter::ProgramMachine m;
    StoppingBus bus;
    std::unique_ptr<CpuEngine> engine;
    std::unique_ptr<Vcpu> vcpu;
};

/// Programs on the translator, checked by the interpreter or not; event_test.cpp instantiates them all.
class Translator : public testing::TestWithParam<Checking>, protected EngineGuest {
protected:
    explicit Translator(bool user = false) : EngineGuest(user) {}
    void SetUp() override {
        if (!start(TranslatorEngine::create(*m.memory, GetParam())))
            GTEST_SKIP() << "this host's processor has no AVX2 or no BMI2";
    }
};

inline constexpr std::array kCheckings{Checking::kOff, Checking::kEachBlock};
inline std::string checking_name(const testing::TestParamInfo<Checking>& checking) {
    return checking.param == Checking::kOff ? "Off" : "EachBlock";
}

/// The same program on both engines, from the same state.
class BothEngines : public testing::Test {
protected:
    void SetUp() override {
        if (!translator_.start(TranslatorEngine::create(*translator_.m.memory)))
            GTEST_SKIP() << "this host's processor has no AVX2 or no BMI2";
        ASSERT_TRUE(interpreter_.start(interpreter::InterpreterEngine::create(*interpreter_.m.memory)));
    }
    /// function(EngineGuest&) for each.
    void prepare(auto&& function) {
        function(translator_);
        function(interpreter_);
    }
    /// Runs both, twice, so that what is translated at first runs as it stays then, and expects the same of everything:
    /// registers, and all of RAM with page tables and what exceptions pushed. Exceptions go to an interrupt stack of
    /// their own. @return the state at the end.
    CpuState run(std::uint64_t rip = EngineGuest::kCode) {
        CpuState last;
        for (int round = 0; round < 2; ++round) {
            last = translator_.run(rip);
            expect_equal(last, interpreter_.run(rip));
        }
        return last;
    }
    /// Assembles, runs, compares.
    CpuState run_code(auto&& write) {
        prepare([&](EngineGuest& g) { g.assemble(write); });
        return run();
    }

    EngineGuest translator_, interpreter_;

private:
    void expect_equal(CpuState a, CpuState b) {
        a.msrs.clear(); // the time stamp counter
        b.msrs.clear();
        EXPECT_EQ(a.gpr, b.gpr);
        EXPECT_EQ(a.rip, b.rip);
        EXPECT_EQ(a.rflags, b.rflags);
        EXPECT_EQ(a.cr2, b.cr2);
        EXPECT_TRUE(a == b);
        const std::byte *ours = translator_.m.memory->base(), *theirs = interpreter_.m.memory->base();
        const auto [at, other] = std::mismatch(ours, ours + interpreter::SmallMachine::kRamBytes, theirs);
        EXPECT_EQ(at - ours, std::ptrdiff_t{interpreter::SmallMachine::kRamBytes}) << "RAM differs from there on";
    }
};

} // namespace touka::cpu::translator
