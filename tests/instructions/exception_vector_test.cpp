// Every exception vector once: on the host too where a process at CPL 3 can raise it, else against the manuals.
// Not here: 18 (#MC), which no engine raises, and the vectors that 64-bit processors do not have.
#include <gtest/gtest.h>

#include <cstring>

#include "instructions/comparison.hpp"
#include "instructions/suite_fixture.hpp"
#include "spec/x86/control_registers.hpp"

namespace touka::tests::instructions {
namespace {

constexpr std::size_t kRax = 0, kRbx = 3, kRsp = 4;

class ExceptionVector : public InstructionSuite {
protected:
    static Case make(std::initializer_list<std::uint8_t> bytes) {
        Case test;
        Random random(7);
        test.memory = random_memory(random);
        test.bytes = bytes;
        test.before.gpr[kRsp] = kStackPage + 0x800;
        test.before.gpr[kRbx] = kDataPages;
        std::copy(bytes.begin(), bytes.end(), test.memory.at(kEntry));
        return test;
    }
    /// Both must agree, and raise this vector.
    void expect_on_host(unsigned vector, const Case& test) {
        Result expected, actual;
        host_.run(test, expected);
        guest_->run(test, actual);
        if (!host_.is_telling(test, expected)) {
            EXPECT_EQ(actual.vector, vector);
            return;
        }
        EXPECT_EQ(expected.vector, vector);
        EXPECT_EQ(differences(test, expected, actual), "") << describe(test);
    }
    Result run_from(const cpu::CpuState& state, const Case& test) {
        Result result;
        guest_->run_from(state, test, result);
        return result;
    }
};

TEST_P(ExceptionVector, DivideError) { expect_on_host(0, make({0xF7, 0xF1})); } // div ecx, ECX = 0

TEST_P(ExceptionVector, DebugAfterASingleStep) {
    auto test = make({0x90});
    test.before.rflags |= spec::x86::rflags::TF;
    expect_on_host(1, test);
}

// Not on the host: hypervisors reflect INT1 with the address of the instruction itself.
TEST_P(ExceptionVector, DebugByInt1) {
    auto test = make({0xF1});
    const auto result = run_from(initial_state(test), test);
    EXPECT_EQ(result.vector, 1u);
    EXPECT_EQ(result.after.rip, kEntry + 1);
}

TEST_P(ExceptionVector, NonMaskableInterrupt) {
    auto test = make({0xEB, 0xFE}); // jmp to itself
    auto* target = guest_->vcpu().interrupt_target();
    ASSERT_NE(target, nullptr);
    target->signal_nmi();
    const auto result = run_from(initial_state(test), test);
    EXPECT_EQ(result.vector, 2u);
    EXPECT_EQ(result.after.rip, kEntry);
}

TEST_P(ExceptionVector, Breakpoint) { expect_on_host(3, make({0xCC})); }

TEST_P(ExceptionVector, OverflowIn32BitCode) {
    auto test = make({0xCE}); // into
    test.compat = true;
    test.before.rflags |= spec::x86::rflags::OF;
    expect_on_host(4, test);
}

TEST_P(ExceptionVector, BoundRangeIn32BitCode) {
    auto test = make({0x62, 0x03}); // bound eax, [ebx]
    test.compat = true;
    const std::int32_t bounds[2] = {-5, 5};
    std::memcpy(test.memory.at(kDataPages), bounds, sizeof(bounds));
    test.before.gpr[kRax] = 6;
    expect_on_host(5, test);
}

TEST_P(ExceptionVector, InvalidOpcode) { expect_on_host(6, make({0x0F, 0x0B})); } // ud2

TEST_P(ExceptionVector, DeviceNotAvailable) {
    for (const auto& bytes : {std::initializer_list<std::uint8_t>{0xD9, 0xE8},
                              {0x0F, 0x58, 0xC1},
                              {0xC5, 0xFC, 0x58, 0xC1},
                              {0x0F, 0xFC, 0xC1},
                              {0x9B}}) { // fld1, addps, vaddps, paddb mm, fwait
        auto test = make(bytes);
        auto state = initial_state(test);
        state.cr0 |= spec::x86::cr0::TS;
        const auto result = run_from(state, test);
        EXPECT_EQ(result.vector, 7u) << describe(test);
        EXPECT_EQ(result.after.rip, kEntry);
    }
}

TEST_P(ExceptionVector, DoubleFaultWhenAPageFaultFindsNoGate) {
    auto test = make({0x8B, 0x03}); // mov eax, [rbx]
    test.before.gpr[kRbx] = kEdgePage + kPageBytes;
    auto gate = memory_->span(spec::GuestAddress{kIdtPhysical + 14 * 16 + 5}, 1); // P, DPL and type
    const auto type = gate[0];
    gate[0] = std::byte{0x0E};
    const auto result = run_from(initial_state(test), test);
    gate[0] = type;
    EXPECT_EQ(result.vector, 8u);
    EXPECT_EQ(result.error_code, 0u);
}

TEST_P(ExceptionVector, InvalidTssWhenAStackIsBeyondItsLimit) {
    auto test = make({0x0F, 0x0B});
    auto stack_table = memory_->span(spec::GuestAddress{kIdtPhysical + 6 * 16 + 4}, 1);
    stack_table[0] = std::byte{1}; // IST1, at offset 24h
    auto state = initial_state(test);
    state.tr.limit = 0x1F;
    const auto result = run_from(state, test);
    stack_table[0] = std::byte{0};
    EXPECT_EQ(result.vector, 10u);
    EXPECT_EQ(result.error_code & ~1u, kTaskStateSelector);
    EXPECT_EQ(result.after.rip, kEntry);
}

TEST_P(ExceptionVector, SegmentNotPresent) {
    auto test = make({0x8E, 0xD8}); // mov ds, eax
    test.before.gpr[kRax] = kAbsentSelector;
    const auto result = run_from(initial_state(test), test);
    EXPECT_EQ(result.vector, 11u);
    EXPECT_EQ(result.error_code, kAbsentSelector & ~3u);
}

TEST_P(ExceptionVector, StackFault) {
    auto test = make({0x50}); // push rax
    test.before.gpr[kRsp] = 0x9000'0000'0000;
    expect_on_host(12, test);
}

TEST_P(ExceptionVector, GeneralProtection) { expect_on_host(13, make({0xF4})); } // hlt

TEST_P(ExceptionVector, PageFaultOfAFetch) {
    auto test = make({0xFF, 0xE3}); // jmp rbx, to a page that is not executable
    expect_on_host(14, test);
}

TEST_P(ExceptionVector, X87FloatingPoint) {
    auto test = make({0x9B}); // fwait
    test.before.fcw = 0x37B;  // ZM clear
    test.before.fsw = 0x8084; // ZE, ES, B
    expect_on_host(16, test);
}

TEST_P(ExceptionVector, AlignmentCheck) {
    auto test = make({0x8B, 0x43, 0x01}); // mov eax, [rbx + 1]
    test.before.rflags |= spec::x86::rflags::AC;
    expect_on_host(17, test);
}

TEST_P(ExceptionVector, SimdFloatingPoint) {
    auto test = make({0x0F, 0x5E, 0xC1}); // divps xmm0, xmm1: 0 / 0
    test.before.mxcsr = 0x1F00;           // IM clear
    expect_on_host(19, test);
}

TEST_P(ExceptionVector, ThreeFaultsAtOnceShutTheProcessorDown) {
    auto test = make({0x0F, 0x0B});
    auto state = initial_state(test);
    state.idtr.limit = 0;
    EXPECT_EQ(run_from(state, test).vector, Result::kShutdown);
}

INSTANTIATE_TEST_SUITE_P(Engines, ExceptionVector, all_engines(), engine_name);

} // namespace
} // namespace touka::tests::instructions
