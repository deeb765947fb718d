// Machines that are saved and go on somewhere else, and the kernel's log of written pages.
#include "cpu/kvm/nano_guest_fixture.hpp"

namespace touka::cpu::kvm {
namespace {

using Code = Xbyak::CodeGenerator;
class KvmStateTest : public KvmTest {};

/// Registers that go on counting between two looks.
CpuState without_time(CpuState state) {
    std::erase_if(state.msrs, [](const MsrValue& m) {
        return m.index == spec::x86::msr::kTsc || m.index == spec::x86::msr::kTscAdjust;
    });
    return state;
}

TEST_F(KvmStateTest, WhatIsSetIsWhatIsThere) {
    auto guest = make();
    CpuState state = guest->long_mode_state(kCode);
    for (std::size_t i = 0; i < state.gpr.size(); ++i) state.gpr[i] = 0x1111'1111'1111'1111 * i;
    state.cr2 = 0xFFFF'8000'1234'5000;
    state.cr8 = 3;
    state.dr[0] = 0x1234;
    state.dr[7] = 0x401;
    state.seg(SegmentName::kFs).base = 0x7FFF'0000'1000;
    state.ldtr = {0x28, 0x82, false, 0xFFFF, 0x5000};
    state.rflags |= spec::x86::rflags::IF | spec::x86::rflags::CF;
    state.interrupt_shadow = true;
    state.nmi_blocked = true;
    state.pending_event =
        PendingEvent{.kind = PendingEvent::Kind::kException, .vector = 14, .error_code = 6, .cr2 = state.cr2};
    std::ranges::find(state.msrs, spec::x86::msr::kLstar, &MsrValue::index)->value = 0xFFFF'FFFF'8100'0000;
    state.xsave[24 + 2] = 0; // MXCSR stays valid
    state.xsave[160] = 0x5A; // XMM0
    state.xsave[512] |= 2;   // SSE in use
    ASSERT_TRUE(guest->vcpu().set_state(state)) << guest->vcpu().failure();
    const CpuState there = guest->vcpu().state().value();
    EXPECT_EQ(there.gpr, state.gpr);
    EXPECT_EQ(there.segment, state.segment);
    EXPECT_EQ(there.ldtr, state.ldtr);
    EXPECT_EQ(there.dr[0], state.dr[0]);
    EXPECT_EQ(there.dr[7], state.dr[7]);
    EXPECT_EQ(there.xsave, state.xsave);
    EXPECT_EQ(there.pending_event, state.pending_event);
    EXPECT_TRUE(there.interrupt_shadow);
    EXPECT_EQ(without_time(there).msrs, without_time(state).msrs);
    EXPECT_EQ(there.cr2, state.cr2);
    EXPECT_EQ(there.cr8, state.cr8);
}

TEST_F(KvmStateTest, RefusesAStateThatNoProcessorCanBeIn) {
    auto guest = make();
    CpuState state = guest->long_mode_state(kCode);
    state.cr0 &= ~spec::x86::cr0::PE; // paging without protection
    EXPECT_EQ(guest->vcpu().set_state(state).error(), CpuError::kInvalidState);
    state = guest->long_mode_state(kCode);
    state.xsave.resize(100);
    EXPECT_EQ(guest->vcpu().set_state(state).error(), CpuError::kInvalidState);
    state = guest->long_mode_state(kCode);
    state.msrs.push_back({0xC001'F00D, 1});
    EXPECT_EQ(guest->vcpu().set_state(state).error(), CpuError::kInvalidState);
}

TEST_F(KvmStateTest, AnEmptyVectorImageIsTheStateAfterInit) {
    auto guest = make();
    CpuState state = guest->long_mode_state(kCode);
    state.xsave.clear();
    ASSERT_TRUE(guest->vcpu().set_state(state)) << guest->vcpu().failure();
    const auto image = guest->vcpu().state().value().xsave;
    EXPECT_EQ(image[0] | image[1] << 8, 0x37F);
    EXPECT_EQ(image[24] | image[25] << 8, 0x1F80);
}

TEST_F(KvmStateTest, AGuestGoesOnInASecondMachine) {
    auto first = make();
    first->load(kCode, [](Code& a) {
        NanoGuest::write_apic(a, 0xF0, 0x1FF);
        a.mov(a.ebx, 41);
        a.mov(a.eax, static_cast<std::uint32_t>(kData));
        a.mov(a.qword[a.rax], 1);
        NanoGuest::out(a, kDone);
        a.inc(a.ebx);
        a.sti();
        a.hlt(); // the message that was signalled before the move is still there
    });
    first->handle(kVector, [](Code& a) { NanoGuest::out(a, kDone); });
    CpuState start = first->long_mode_state(kCode);
    start.xsave[160 + 3 * 16] = 0x5A; // XMM3
    start.xsave[512] |= 2;            // SSE in use
    ASSERT_TRUE(first->vcpu().set_state(start));
    ASSERT_EQ(first->vcpu().run(), VcpuExit::kKicked) << first->vcpu().failure();
    first->interrupts().signal_msi(kLocalApic, kVector);

    auto second = make();
    std::memcpy(second->memory().base(), first->memory().base(), kRamBytes);
    ASSERT_TRUE(second->interrupts().set_io_apic_state(first->interrupts().io_apic_state().value()));
    ASSERT_TRUE(second->interrupts().set_pic_state(first->interrupts().pic_state().value()));
    ASSERT_TRUE(second->interrupts().set_pit_state(first->interrupts().pit_state().value()));
    const LocalApicState apic = first->vcpu().local_apic_state().value();
    ASSERT_TRUE(second->vcpu().set_state(first->vcpu().state().value())) << second->vcpu().failure();
    ASSERT_TRUE(second->vcpu().set_local_apic_state(apic)) << second->vcpu().failure();
    EXPECT_EQ(second->vcpu().local_apic_state().value(), apic);

    ASSERT_EQ(second->vcpu().run(), VcpuExit::kKicked) << second->vcpu().failure();
    CpuState state = second->vcpu().state().value();
    EXPECT_EQ(state.reg(Gpr::kRbx), 42u);
    EXPECT_EQ(state.xsave[160 + 3 * 16], 0x5A);
    EXPECT_EQ(second->data(), 1u);
}

TEST_F(KvmStateTest, ARunningApicTimerKeepsWhatIsLeft) {
    auto guest = make();
    LocalApicState apic = guest->vcpu().local_apic_state().value();
    apic.registers[0x0F] = 0x1FF;         // spurious vector: enabled
    apic.registers[0x32] = kVector;       // one-shot
    apic.registers[0x3E] = 0x3;           // divide by 16
    apic.registers[0x38] = 1'000'000'000; // 16 s
    apic.timer_remaining_ns = 8'000'000'000;
    ASSERT_TRUE(guest->vcpu().set_local_apic_state(apic)) << guest->vcpu().failure();
    const std::uint64_t left = guest->vcpu().local_apic_state().value().timer_remaining_ns;
    EXPECT_LE(left, 8'000'000'000u);
    EXPECT_GT(left, 4'000'000'000u);
}

TEST_F(KvmStateTest, TheKernelLogsExactlyTheWrittenPages) {
    auto guest = make();
    guest->load(kCode, [](Code& a) {
        a.mov(a.eax, static_cast<std::uint32_t>(kData));
        for (const std::size_t page : {0u, 3u, 5u}) a.mov(a.byte[a.rax + page * 4096], 1);
        NanoGuest::out(a, kDone);
    });
    guest->memory().dirty_log().set_enabled(true);
    guest->engine().dirty_log_changed();
    ASSERT_EQ(guest->start(), VcpuExit::kKicked) << guest->vcpu().failure();
    guest->engine().collect_dirty();
    auto words = guest->memory().dirty_log().take();
    constexpr std::uint64_t kFirst = kData / 4096;
    EXPECT_EQ(words[kFirst / 64] >> kFirst % 64 & 0xFF, 0b10'1001u);

    guest->engine().collect_dirty();
    words = guest->memory().dirty_log().take();
    EXPECT_TRUE(std::ranges::all_of(words, [](std::uint64_t w) { return w == 0; })) << "taken once";

    guest->memory().dirty_log().set_enabled(false);
    guest->engine().dirty_log_changed();
    ASSERT_EQ(guest->start(), VcpuExit::kKicked);
    guest->engine().collect_dirty();
    EXPECT_TRUE(std::ranges::all_of(guest->memory().dirty_log().take(), [](std::uint64_t w) { return w == 0; }));
}

TEST_F(KvmStateTest, TheClockGoesOnFromWhereItWasSet) {
    auto guest = make();
    constexpr std::uint64_t kHour = 3'600'000'000'000;
    ASSERT_TRUE(guest->engine().set_clock({kHour}));
    const std::uint64_t now = guest->engine().clock().value().nanoseconds;
    EXPECT_GE(now, kHour);
    EXPECT_LT(now, kHour + kHour / 60);
}

TEST_F(KvmStateTest, RefusesMoreProcessorsThanTheKernelTakes) {
    auto memory = memory::GuestMemory::create(kRamBytes).value();
    EXPECT_EQ(KvmEngine::create(*memory, 1'000'000).error().error, CpuError::kUnsupported);
    EXPECT_EQ(KvmEngine::create(*memory, 0).error().error, CpuError::kUnsupported);
}

} // namespace
} // namespace touka::cpu::kvm
