#include "cpu/kvm/kvm_chip_state.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "cpu/kvm/kvm_call.hpp"
#include "cpu/kvm/kvm_exit_text.hpp"
#include "cpu/kvm/kvm_register_state.hpp"
#include "migration/record.hpp"
#include "spec/x86/control_registers.hpp"

namespace touka::cpu::kvm {
namespace {

constexpr std::uint64_t kNow = 5'000'000'000;

TEST(KvmChipState, IoApicComesBackAsItWent) {
    IoApicState state;
    state.id = 3;
    state.register_select = 0x12;
    state.asserted_lines = 1u << 23;
    state.redirection[0] = 0x0100'0000'0000'A030;
    state.redirection[23] = 0xFF00'0000'0001'F0FE;
    EXPECT_EQ(from_kvm(to_kvm(state)), state);
}

TEST(KvmChipState, PicComesBackAsItWent) {
    PicPairState pair;
    PicState& master = pair.master;
    master.irr = 0x81;
    master.imr = 0x0F;
    master.isr = 0x10;
    master.asserted_lines = 0x01;
    master.lowest_priority = 3;
    master.vector_base = 0x30;
    master.icw3 = 4;
    master.initialization_step = 2;
    master.icw4_expected = master.auto_eoi = master.rotate_on_auto_eoi = true;
    master.special_mask = master.special_fully_nested = master.read_isr = master.poll = true;
    master.elcr = 0x28;
    pair.slave.icw3 = 2;
    pair.slave.elcr = 0x0C;
    EXPECT_EQ(from_kvm(to_kvm(master, true), true), master);
    EXPECT_EQ(from_kvm(to_kvm(pair.slave, false), false), pair.slave);
}

TEST(KvmChipState, LowestPriorityOf7MeansInput0First) {
    EXPECT_EQ(to_kvm(PicState{}, true).priority_add, 0);
    PicState rotated;
    rotated.lowest_priority = 2;
    EXPECT_EQ(to_kvm(rotated, true).priority_add, 3);
}

TEST(KvmChipState, LinesThatAreNeverLevelStayEdge) {
    PicState all_level;
    all_level.elcr = 0xFF;
    EXPECT_EQ(to_kvm(all_level, true).elcr, 0xF8);
    EXPECT_EQ(to_kvm(all_level, false).elcr, 0xDE);
}

TEST(KvmChipState, PitComesBackAsItWentWithTheTimeSinceItsLoad) {
    PitState state;
    PitChannelState& channel = state.channels[2];
    channel.count = 11932;
    channel.mode = 3;
    channel.access = PitChannelState::Access::kLowThenHigh;
    channel.gate = false;
    channel.counting = true;
    channel.elapsed_ns = 12'345'678;
    channel.write_high_next = true;
    channel.write_low = 0x9C;
    channel.count_latched = true;
    channel.latched_count = 0x1234;
    channel.read_high_next = true;
    channel.status_latched = true;
    channel.latched_status = 0x76;
    state.speaker_enabled = state.channel0_disconnected = true;
    EXPECT_EQ(from_kvm(to_kvm(state, kNow), kNow), state);
    EXPECT_EQ(from_kvm(to_kvm(state, kNow), kNow + 1000).channels[2].elapsed_ns, 12'346'678u);
}

TEST(KvmChipState, APitThatNobodyProgrammedStaysSilent) {
    const kvm_pit_state2 chip = to_kvm(PitState{}, kNow);
    EXPECT_EQ(chip.channels[0].mode, 0xFF) << "any other mode starts the kernel's timer";
    EXPECT_FALSE(from_kvm(chip, kNow).channels[0].counting);
}

TEST(KvmChipState, ApicTimerRemainderCountsInNanosecondsWhateverTheDivider) {
    LocalApicState state;
    for (const auto& [configuration, divider] : {std::pair{0xBu, 1u}, {0u, 2u}, {3u, 16u}, {0xAu, 128u}}) {
        state.registers[0x3E] = configuration;
        state.timer_remaining_ns = 1'280'000;
        const kvm_lapic_state chip = to_kvm(state);
        std::uint32_t count = 0;
        std::memcpy(&count, chip.regs + 0x390, 4);
        EXPECT_EQ(count, 1'280'000 / divider);
        EXPECT_EQ(from_kvm(chip).timer_remaining_ns, 1'280'000u);
    }
}

TEST(KvmChipState, RecordsRoundTrip) {
    PitState pit;
    pit.channels[1].count = 77;
    pit.channels[1].latched_count = 9;
    EXPECT_EQ(migration::load_record<PitState>(migration::save_record("pit", pit)).value(), pit);
    PicPairState pic;
    pic.slave.imr = 0xF0;
    EXPECT_EQ(migration::load_record<PicPairState>(migration::save_record("pic", pic)).value(), pic);
    IoApicState io_apic;
    io_apic.redirection[7] = 0x37;
    EXPECT_EQ(migration::load_record<IoApicState>(migration::save_record("io-apic", io_apic)).value(), io_apic);
}

TEST(KvmRegisterState, AnStiShadowWithoutInterruptsIsThatOfMovSs) {
    CpuState state;
    state.interrupt_shadow = true;
    EXPECT_EQ(events(state).interrupt.shadow, KVM_X86_SHADOW_INT_MOV_SS);
    state.rflags |= spec::x86::rflags::IF;
    EXPECT_EQ(events(state).interrupt.shadow, KVM_X86_SHADOW_INT_STI);
}

TEST(KvmRegisterState, EveryKindOfPendingEventComesBack) {
    using Kind = PendingEvent::Kind;
    for (const Kind kind : {Kind::kException, Kind::kNmi, Kind::kExternalInterrupt, Kind::kSoftwareInterrupt}) {
        CpuState state, back;
        const std::uint8_t vector = kind == Kind::kNmi ? 2 : 13;
        state.pending_event = PendingEvent{.kind = kind, .vector = vector, .error_code = {}};
        if (kind == Kind::kException) state.pending_event->error_code = 0x18;
        read_events(events(state), back);
        EXPECT_EQ(back.pending_event, state.pending_event);
    }
}

TEST(KvmRegisterState, RunStatesComeBack) {
    for (const RunState state :
         {RunState::kRunning, RunState::kHalted, RunState::kWaitForInit, RunState::kWaitForSipi}) {
        EXPECT_EQ(run_state(mp_state(state)), state);
    }
}

TEST(KvmRegisterState, XsaveImageEndsBehindTheLastComponentEnabledOrInUse) {
    const CpuidTable cpuid({{0xD, 2, true, {256, 576, 0, 0}}, {0xD, 5, true, {64, 832, 0, 0}}});
    std::vector<std::uint8_t> buffer(4096);
    EXPECT_EQ(cut_xsave(buffer, 3, cpuid).size(), 576u);
    EXPECT_EQ(cut_xsave(buffer, 7, cpuid).size(), 832u);
    buffer[512] = 1u << 5;
    EXPECT_EQ(cut_xsave(buffer, 7, cpuid).size(), 896u);
}

TEST(KvmList, KeepsCountAndEntriesWhereTheKernelLooks) {
    const KvmList<kvm_msr_entry> list(2);
    list.entries()[1].index = 0x10;
    std::array<std::uint32_t, 8> words{};
    std::memcpy(words.data(), list.argument(), sizeof words);
    EXPECT_EQ(words[0], 2u);
    EXPECT_EQ(words[6], 0x10u) << "header of 8 bytes, entries of 16";
}

TEST(KvmCpuid, TableComesBackAsItWent) {
    const CpuidTable table({{1, 0, false, {1, 2, 3, 4}}, {7, 0, true, {5, 6, 7, 8}}, {7, 1, true, {9, 0, 0, 0}}});
    const CpuidTable back = from_kvm(to_kvm(table));
    EXPECT_EQ(back.lookup(1, 5), (CpuidRegisters{1, 2, 3, 4}));
    EXPECT_EQ(back.lookup(7, 1), (CpuidRegisters{9, 0, 0, 0}));
    EXPECT_EQ(back.lookup(7, 2), CpuidRegisters{});
}

TEST(KvmExitText, NamesReasonRegistersAndCode) {
    kvm_run run{};
    run.exit_reason = KVM_EXIT_FAIL_ENTRY;
    run.fail_entry.hardware_entry_failure_reason = 0x8000'0021;
    kvm_regs regs{};
    regs.r14 = 0xABCD;
    const std::array code = {std::byte{0x0F}, std::byte{0x0B}};
    const std::string text = describe_exit(run, regs, {}, code);
    EXPECT_NE(text.find("0x80000021"), std::string::npos);
    EXPECT_NE(text.find("r14 000000000000abcd"), std::string::npos);
    EXPECT_NE(text.find("code 0f 0b"), std::string::npos);
}

} // namespace
} // namespace touka::cpu::kvm
