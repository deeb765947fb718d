#include "cpu/kvm/kvm_register_state.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "spec/x86/control_registers.hpp"
#include "spec/x86/cpuid.hpp"
#include "spec/x86/msr.hpp"

namespace touka::cpu::kvm {

namespace {

constexpr std::array kGeneral = {&kvm_regs::rax, &kvm_regs::rcx, &kvm_regs::rdx, &kvm_regs::rbx,
                                 &kvm_regs::rsp, &kvm_regs::rbp, &kvm_regs::rsi, &kvm_regs::rdi,
                                 &kvm_regs::r8,  &kvm_regs::r9,  &kvm_regs::r10, &kvm_regs::r11,
                                 &kvm_regs::r12, &kvm_regs::r13, &kvm_regs::r14, &kvm_regs::r15};
constexpr std::array kSegments = {&kvm_sregs::es, &kvm_sregs::cs, &kvm_sregs::ss,
                                  &kvm_sregs::ds, &kvm_sregs::fs, &kvm_sregs::gs};

SegmentState from_kvm(const kvm_segment& s) {
    SegmentState state;
    state.selector = s.selector;
    state.attributes =
        static_cast<std::uint16_t>((s.type & 0xFu) | (s.s & 1u) << 4 | (s.dpl & 3u) << 5 | (s.present & 1u) << 7 |
                                   (s.avl & 1u) << 12 | (s.l & 1u) << 13 | (s.db & 1u) << 14 | (s.g & 1u) << 15);
    state.unusable = s.unusable != 0;
    state.limit = s.limit;
    state.base = s.base;
    return state;
}

kvm_segment to_kvm(const SegmentState& state) {
    const auto field = [&](unsigned low, unsigned mask) {
        return static_cast<std::uint8_t>((state.attributes >> low) & mask);
    };
    kvm_segment s{};
    s.base = state.base;
    s.limit = state.limit;
    s.selector = state.selector;
    s.type = field(0, 0xF);
    s.s = field(4, 1);
    s.dpl = field(5, 3);
    s.present = field(7, 1);
    s.avl = field(12, 1);
    s.l = field(13, 1);
    s.db = field(14, 1);
    s.g = field(15, 1);
    s.unusable = state.unusable;
    return s;
}

// Standard-format XSAVE image: where the header has its list of components in use. (SDM vol. 1 §13.4.2)
constexpr std::size_t kComponentsInUse = 512, kMxcsr = 24, kControlWord = 0;

} // namespace

void read_registers(const kvm_regs& from, CpuState& to) {
    for (std::size_t i = 0; i < kGeneral.size(); ++i) to.gpr[i] = from.*kGeneral[i];
    to.rip = from.rip;
    to.rflags = from.rflags;
}

kvm_regs general_registers(const CpuState& from) {
    kvm_regs to{};
    for (std::size_t i = 0; i < kGeneral.size(); ++i) to.*kGeneral[i] = from.gpr[i];
    to.rip = from.rip;
    to.rflags = from.rflags | spec::x86::rflags::FIXED;
    return to;
}

void read_system_registers(const kvm_sregs& from, CpuState& to) {
    for (std::size_t i = 0; i < kSegments.size(); ++i) to.segment[i] = from_kvm(from.*kSegments[i]);
    to.ldtr = from_kvm(from.ldt);
    to.tr = from_kvm(from.tr);
    to.gdtr = {from.gdt.limit, from.gdt.base};
    to.idtr = {from.idt.limit, from.idt.base};
    to.cr0 = from.cr0;
    to.cr2 = from.cr2;
    to.cr3 = from.cr3;
    to.cr4 = from.cr4;
    to.cr8 = from.cr8;
    to.msrs.push_back({spec::x86::msr::kEfer, from.efer});
}

void write_system_registers(const CpuState& from, kvm_sregs& to) {
    for (std::size_t i = 0; i < kSegments.size(); ++i) to.*kSegments[i] = to_kvm(from.segment[i]);
    to.ldt = to_kvm(from.ldtr);
    to.tr = to_kvm(from.tr);
    to.gdt.limit = from.gdtr.limit;
    to.gdt.base = from.gdtr.base;
    to.idt.limit = from.idtr.limit;
    to.idt.base = from.idtr.base;
    to.cr0 = from.cr0;
    to.cr2 = from.cr2;
    to.cr3 = from.cr3;
    to.cr4 = from.cr4;
    to.cr8 = from.cr8;
    const auto efer = std::ranges::find(from.msrs, spec::x86::msr::kEfer, &MsrValue::index);
    if (efer != from.msrs.end()) to.efer = efer->value;
    std::ranges::fill(to.interrupt_bitmap, 0); // what waits for delivery is in CpuState::pending_event
}

void read_events(const kvm_vcpu_events& from, CpuState& to) {
    to.interrupt_shadow = from.interrupt.shadow != 0;
    to.debug_shadow = (from.interrupt.shadow & KVM_X86_SHADOW_INT_MOV_SS) != 0;
    to.nmi_blocked = from.nmi.masked != 0;
    to.nmi_pending = from.nmi.pending != 0;
    to.pending_event.reset();
    if (from.exception.injected != 0) {
        to.pending_event = {
            .kind = PendingEvent::Kind::kException, .vector = from.exception.nr, .error_code = {}, .cr2 = to.cr2};
        if (from.exception.has_error_code != 0) to.pending_event->error_code = from.exception.error_code;
    } else if (from.nmi.injected != 0) {
        to.pending_event = {.kind = PendingEvent::Kind::kNmi, .vector = 2, .error_code = {}};
    } else if (from.interrupt.injected != 0) {
        const auto kind =
            from.interrupt.soft != 0 ? PendingEvent::Kind::kSoftwareInterrupt : PendingEvent::Kind::kExternalInterrupt;
        to.pending_event = {.kind = kind, .vector = from.interrupt.nr, .error_code = {}};
    }
}

/// CpuState::pending_debug is lost: KVM takes no debug exception that waits for the end of MOV SS's shadow.
kvm_vcpu_events events(const CpuState& from) {
    kvm_vcpu_events to{};
    to.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
    if (from.interrupt_shadow) {
        // VMX refuses blocking by STI while IF is clear; the shadow of MOV SS is then the one it can have been.
        const bool by_sti = !from.debug_shadow && (from.rflags & spec::x86::rflags::IF) != 0;
        to.interrupt.shadow = by_sti ? KVM_X86_SHADOW_INT_STI : KVM_X86_SHADOW_INT_MOV_SS;
    }
    to.nmi.masked = from.nmi_blocked;
    to.nmi.pending = from.nmi_pending;
    if (!from.pending_event) return to;
    switch (from.pending_event->kind) {
        case PendingEvent::Kind::kException:
            to.exception.injected = 1;
            to.exception.nr = from.pending_event->vector;
            to.exception.has_error_code = from.pending_event->error_code.has_value();
            to.exception.error_code = from.pending_event->error_code.value_or(0);
            break;
        case PendingEvent::Kind::kNmi: to.nmi.injected = 1; break;
        case PendingEvent::Kind::kSoftwareInterrupt: to.interrupt.soft = 1; [[fallthrough]];
        case PendingEvent::Kind::kExternalInterrupt:
            to.interrupt.injected = 1;
            to.interrupt.nr = from.pending_event->vector;
            break;
    }
    return to;
}

RunState run_state(const kvm_mp_state& from) {
    switch (from.mp_state) {
        case KVM_MP_STATE_HALTED: return RunState::kHalted;
        case KVM_MP_STATE_UNINITIALIZED: return RunState::kWaitForInit;
        case KVM_MP_STATE_INIT_RECEIVED: return RunState::kWaitForSipi;
        default: return RunState::kRunning;
    }
}

kvm_mp_state mp_state(RunState from) {
    switch (from) {
        case RunState::kHalted: return {KVM_MP_STATE_HALTED};
        case RunState::kWaitForInit: return {KVM_MP_STATE_UNINITIALIZED};
        case RunState::kWaitForSipi: return {KVM_MP_STATE_INIT_RECEIVED};
        case RunState::kRunning: break;
    }
    return {KVM_MP_STATE_RUNNABLE};
}

std::vector<std::uint8_t> cut_xsave(std::span<const std::uint8_t> buffer, std::uint64_t xcr0, const CpuidTable& cpuid) {
    std::uint64_t in_use = 0;
    std::memcpy(&in_use, buffer.data() + kComponentsInUse, sizeof in_use);
    std::size_t end = spec::x86::cpuid::kXsaveHeaderEnd;
    for (std::uint32_t component = 2; component < 63; ++component) {
        if (((xcr0 | in_use) >> component & 1) == 0) continue;
        const CpuidRegisters place = cpuid.lookup(spec::x86::cpuid::kXsave, component);
        end = std::max<std::size_t>(end, std::size_t{place.eax} + place.ebx);
    }
    const auto image = buffer.first(std::min(end, buffer.size()));
    return {image.begin(), image.end()};
}

bool fill_xsave(std::span<const std::uint8_t> image, std::span<std::uint8_t> buffer) {
    std::ranges::fill(buffer, std::uint8_t{0});
    if (image.empty()) {
        constexpr std::uint16_t kInitialControlWord = 0x37F;
        constexpr std::uint32_t kInitialMxcsr = 0x1F80;
        std::memcpy(buffer.data() + kControlWord, &kInitialControlWord, sizeof kInitialControlWord);
        std::memcpy(buffer.data() + kMxcsr, &kInitialMxcsr, sizeof kInitialMxcsr);
        return true;
    }
    if (image.size() < spec::x86::cpuid::kXsaveHeaderEnd || image.size() > buffer.size()) return false;
    std::ranges::copy(image, buffer.begin());
    return true;
}

} // namespace touka::cpu::kvm
