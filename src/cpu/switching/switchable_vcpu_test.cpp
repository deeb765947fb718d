#include "cpu/switching/switchable_vcpu.hpp"

#include <gtest/gtest.h>

namespace touka::cpu::switching {
namespace {

/// Remembers what was asked of it, and ends each run as it is told to.
class FakeVcpu final : public Vcpu, public InterruptTarget {
public:
    VcpuExit run() override { return exit; }
    void kick() override { ++signals; }
    std::expected<CpuState, CpuError> state() override {
        if (fails) return std::unexpected(CpuError::kHostFailure);
        return current;
    }
    std::expected<void, CpuError> set_state(const CpuState& state) override {
        if (fails) return std::unexpected(CpuError::kInvalidState);
        current = state;
        return {};
    }
    std::string failure() const override { return {}; }
    InterruptTarget* interrupt_target() override { return this; }
    std::uint64_t tsc_offset() const override { return offset; }
    void set_tsc_offset(std::uint64_t value) override { offset = value; }
    void interrupt_pending() override { ++signals; }
    void signal_nmi() override { ++signals; }
    void signal_init() override { ++signals; }
    void signal_startup(std::uint8_t) override { ++signals; }

    CpuState current;
    VcpuExit exit = VcpuExit::kKicked;
    bool fails = false;
    int signals = 0;
    std::uint64_t offset = 0;
};

struct Pair {
    FakeVcpu* first = new FakeVcpu;  // both are vcpu's
    FakeVcpu* second = new FakeVcpu; //
    SwitchableVcpu vcpu{std::unique_ptr<Vcpu>(first), std::unique_ptr<Vcpu>(second)};
};

TEST(SwitchableVcpu, TakesTheStateAlongInBothDirections) {
    Pair pair;
    CpuState state;
    state.rip = 0x1234;
    ASSERT_TRUE(pair.vcpu.set_state(state));
    ASSERT_TRUE(pair.vcpu.switch_over());
    EXPECT_EQ(pair.second->current, state);
    pair.second->current.rip = 0x5678;
    ASSERT_TRUE(pair.vcpu.switch_over());
    EXPECT_EQ(pair.first->current.rip, 0x5678u);
}

TEST(SwitchableVcpu, TheTimeStampCounterGoesOnWithoutAGap) {
    Pair pair;
    pair.first->offset = 77;
    ASSERT_TRUE(pair.vcpu.switch_over());
    EXPECT_EQ(pair.second->offset, 77u);
}

TEST(SwitchableVcpu, WhateverIsSignalledReachesTheOneThatRuns) {
    Pair pair;
    const auto signal_all = [&] {
        pair.vcpu.kick();
        pair.vcpu.interrupt_pending();
        pair.vcpu.signal_nmi();
        pair.vcpu.signal_init();
        pair.vcpu.signal_startup(8);
    };
    signal_all();
    EXPECT_EQ(pair.first->signals, 5);
    ASSERT_TRUE(pair.vcpu.switch_over());
    signal_all();
    EXPECT_EQ(pair.first->signals, 5);
    EXPECT_EQ(pair.second->signals, 5);
}

TEST(SwitchableVcpu, SaysWhichErrorKeepsItFromGoingOn) {
    Pair unreadable;
    unreadable.first->fails = true;
    EXPECT_EQ(unreadable.vcpu.switch_over().error(), CpuError::kHostFailure);
    Pair refused;
    refused.second->fails = true;
    EXPECT_EQ(refused.vcpu.switch_over().error(), CpuError::kInvalidState);
}

TEST(SwitchableVcpu, HasEndedAfterAShutdownUntilItGetsANewState) {
    Pair pair;
    EXPECT_EQ(pair.vcpu.run(), VcpuExit::kKicked);
    EXPECT_FALSE(pair.vcpu.has_ended());
    pair.first->exit = VcpuExit::kShutdown;
    EXPECT_EQ(pair.vcpu.run(), VcpuExit::kShutdown);
    EXPECT_TRUE(pair.vcpu.has_ended());
    ASSERT_TRUE(pair.vcpu.set_state({}));
    EXPECT_FALSE(pair.vcpu.has_ended());
}

} // namespace
} // namespace touka::cpu::switching
