#include "cpu/kvm/kvm_chip_state.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>

namespace touka::cpu::kvm {

namespace {

// Where an access to a two-byte count stands; the kernel's numbers for it (arch/x86/kvm/i8254.h).
constexpr std::uint8_t kFirstByteOfWord = 3, kSecondByteOfWord = 4;
/// The kernel's mode of a channel that was never programmed.
constexpr std::uint8_t kNeverProgrammed = 0xFF;

constexpr std::uint8_t kMasterElcrMask = 0xF8, kSlaveElcrMask = 0xDE;
constexpr std::uint8_t kMasterIcw3 = 1u << 2, kSlaveIcw3 = 2;

std::uint8_t access_state(PitChannelState::Access access, bool second_byte) {
    if (access != PitChannelState::Access::kLowThenHigh) return static_cast<std::uint8_t>(access);
    return second_byte ? kSecondByteOfWord : kFirstByteOfWord;
}

bool looks_unprogrammed(const PitChannelState& channel) {
    return !channel.counting && channel.mode == 0 && channel.count == 0x1'0000 && !channel.write_high_next;
}

PitChannelState from_kvm(const kvm_pit_channel_state& chip, std::uint64_t now_ns) {
    PitChannelState channel;
    const bool programmed = chip.mode != kNeverProgrammed;
    const auto loaded_ns = static_cast<std::uint64_t>(chip.count_load_time);
    channel.count = chip.count == 0 ? 0x1'0000 : chip.count;
    channel.mode = programmed ? chip.mode : 0;
    channel.bcd = chip.bcd != 0;
    channel.access = static_cast<PitChannelState::Access>(programmed ? chip.rw_mode & 3 : 3);
    channel.gate = chip.gate != 0;
    channel.counting = programmed;
    channel.elapsed_ns = programmed && now_ns > loaded_ns ? now_ns - loaded_ns : 0;
    channel.read_high_next = chip.read_state == kSecondByteOfWord;
    channel.write_high_next = chip.write_state == kSecondByteOfWord;
    channel.write_low = chip.write_latch;
    channel.count_latched = chip.count_latched != 0;
    channel.latched_count = chip.latched_count;
    // The kernel has sent the low byte of a latched word when this stands at the second byte.
    if (chip.count_latched == kSecondByteOfWord) channel.read_high_next = true;
    channel.status_latched = chip.status_latched != 0;
    channel.latched_status = chip.status;
    return channel;
}

kvm_pit_channel_state to_kvm(const PitChannelState& channel, std::uint64_t now_ns) {
    kvm_pit_channel_state chip{};
    chip.count = channel.count;
    chip.latched_count = channel.latched_count;
    chip.count_latched = channel.count_latched ? access_state(channel.access, channel.read_high_next) : std::uint8_t{0};
    chip.status_latched = channel.status_latched;
    chip.status = channel.latched_status;
    chip.read_state = access_state(channel.access, channel.read_high_next);
    chip.write_state = access_state(channel.access, channel.write_high_next);
    chip.write_latch = channel.write_low;
    chip.rw_mode = static_cast<std::uint8_t>(channel.access);
    chip.mode = looks_unprogrammed(channel) ? kNeverProgrammed : channel.mode;
    chip.bcd = channel.bcd;
    chip.gate = channel.gate;
    chip.count_load_time = static_cast<std::int64_t>(now_ns - channel.elapsed_ns);
    return chip;
}

/// Divide configuration register: bits 3, 1, 0. (SDM vol. 3 §11.5.4)
std::uint64_t timer_divider(std::uint32_t divide_configuration) {
    const std::uint32_t code = (divide_configuration & 3) | (divide_configuration >> 1 & 4);
    return code == 7 ? 1 : std::uint64_t{2} << code;
}

constexpr std::size_t kDivideConfiguration = 0x3E, kCurrentCount = 0x39;

} // namespace

IoApicState from_kvm(const kvm_ioapic_state& chip) {
    IoApicState state;
    state.base_address = chip.base_address;
    state.id = static_cast<std::uint8_t>(chip.id & 0xF);
    state.register_select = chip.ioregsel;
    state.asserted_lines = chip.irr;
    for (std::size_t pin = 0; pin < state.redirection.size(); ++pin) state.redirection[pin] = chip.redirtbl[pin].bits;
    return state;
}

kvm_ioapic_state to_kvm(const IoApicState& state) {
    kvm_ioapic_state chip{};
    chip.base_address = state.base_address;
    chip.id = state.id;
    chip.ioregsel = state.register_select;
    chip.irr = state.asserted_lines;
    for (std::size_t pin = 0; pin < state.redirection.size(); ++pin) chip.redirtbl[pin].bits = state.redirection[pin];
    return chip;
}

PicState from_kvm(const kvm_pic_state& chip, bool master) {
    PicState state;
    state.irr = chip.irr;
    state.imr = chip.imr;
    state.isr = chip.isr;
    state.asserted_lines = chip.last_irr;
    state.lowest_priority = static_cast<std::uint8_t>((chip.priority_add + 7) & 7); // the kernel's is the highest
    state.vector_base = chip.irq_base;
    state.icw3 = master ? kMasterIcw3 : kSlaveIcw3;
    state.initialization_step = chip.init_state;
    state.icw4_expected = chip.init4 != 0;
    state.auto_eoi = chip.auto_eoi != 0;
    state.rotate_on_auto_eoi = chip.rotate_on_auto_eoi != 0;
    state.special_mask = chip.special_mask != 0;
    state.special_fully_nested = chip.special_fully_nested_mode != 0;
    state.read_isr = chip.read_reg_select != 0;
    state.poll = chip.poll != 0;
    state.elcr = chip.elcr;
    return state;
}

kvm_pic_state to_kvm(const PicState& state, bool master) {
    kvm_pic_state chip{};
    chip.irr = state.irr;
    chip.imr = state.imr;
    chip.isr = state.isr;
    chip.last_irr = state.asserted_lines;
    chip.priority_add = static_cast<std::uint8_t>((state.lowest_priority + 1) & 7);
    chip.irq_base = state.vector_base;
    chip.init_state = state.initialization_step;
    chip.init4 = state.icw4_expected;
    chip.auto_eoi = state.auto_eoi;
    chip.rotate_on_auto_eoi = state.rotate_on_auto_eoi;
    chip.special_mask = state.special_mask;
    chip.special_fully_nested_mode = state.special_fully_nested;
    chip.read_reg_select = state.read_isr;
    chip.poll = state.poll;
    chip.elcr_mask = master ? kMasterElcrMask : kSlaveElcrMask;
    chip.elcr = state.elcr & chip.elcr_mask;
    return chip;
}

PitState from_kvm(const kvm_pit_state2& chip, std::uint64_t now_ns) {
    PitState state;
    for (std::size_t i = 0; i < state.channels.size(); ++i) state.channels[i] = from_kvm(chip.channels[i], now_ns);
    state.speaker_enabled = (chip.flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON) != 0;
    state.channel0_disconnected = (chip.flags & KVM_PIT_FLAGS_HPET_LEGACY) != 0;
    return state;
}

kvm_pit_state2 to_kvm(const PitState& state, std::uint64_t now_ns) {
    kvm_pit_state2 chip{};
    for (std::size_t i = 0; i < state.channels.size(); ++i) chip.channels[i] = to_kvm(state.channels[i], now_ns);
    if (state.speaker_enabled) chip.flags |= KVM_PIT_FLAGS_SPEAKER_DATA_ON;
    if (state.channel0_disconnected) chip.flags |= KVM_PIT_FLAGS_HPET_LEGACY;
    return chip;
}

LocalApicState from_kvm(const kvm_lapic_state& chip) {
    LocalApicState state;
    for (std::size_t i = 0; i < state.registers.size(); ++i) std::memcpy(&state.registers[i], chip.regs + i * 16, 4);
    state.timer_remaining_ns = state.registers[kCurrentCount] * timer_divider(state.registers[kDivideConfiguration]);
    return state;
}

kvm_lapic_state to_kvm(const LocalApicState& state) {
    kvm_lapic_state chip{};
    LocalApicState copy = state;
    const std::uint64_t left = state.timer_remaining_ns / timer_divider(state.registers[kDivideConfiguration]);
    copy.registers[kCurrentCount] = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, 0xFFFF'FFFF));
    for (std::size_t i = 0; i < copy.registers.size(); ++i) std::memcpy(chip.regs + i * 16, &copy.registers[i], 4);
    return chip;
}

std::uint64_t monotonic_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

} // namespace touka::cpu::kvm
