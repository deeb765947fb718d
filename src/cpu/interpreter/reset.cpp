#include "cpu/interpreter/reset.hpp"

#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/mode.hpp"
#include "cpu/interpreter/x87_state.hpp"
#include "spec/x86/cpuid.hpp"
#include "spec/x86/debug_register.hpp"
#include "spec/x86/descriptor.hpp"
#include "spec/x86/msr.hpp"

namespace touka::cpu::interpreter {

using namespace spec::x86;

namespace {

constexpr std::uint16_t kRealData = attribute::P | attribute::S | attribute::kWritable | attribute::kAccessed;
constexpr std::uint16_t kRealCode = kRealData | attribute::kCode;
constexpr std::uint16_t kLdtAttributes = attribute::P | static_cast<std::uint16_t>(SystemType::kLdt);
constexpr std::uint16_t kTssAttributes = attribute::P | static_cast<std::uint16_t>(SystemType::kTssBusy);
constexpr std::uint64_t kApicBootProcessor = 1u << 8; // IA32_APIC_BASE.BSP
constexpr std::uint16_t kResetSelector = 0xF000;
constexpr std::uint64_t kResetBase = 0xFFFF'0000, kResetIp = 0xFFF0;

[[nodiscard]] SegmentState real_segment(std::uint16_t selector, std::uint64_t base, std::uint16_t attributes) {
    return {.selector = selector, .attributes = attributes, .unusable = false, .limit = 0xFFFF, .base = base};
}

[[nodiscard]] bool is_boot_processor(Processor& p) {
    return (p.interrupts.read_msr(msr::kApicBase).value_or(kApicBootProcessor) & kApicBootProcessor) != 0;
}

/// What power-on and INIT have in common.
void set_initial_registers(Processor& p) {
    p.regs.gpr.fill(0);
    p.gpr(Gpr::kRdx) = p.cpuid.lookup(cpuid::kFeatures, 0).eax;
    p.set_rflags(rflags::FIXED);
    p.rip = kResetIp;
    for (SegmentState& segment : p.segments) segment = real_segment(0, 0, kRealData);
    p.segment(SegmentName::kCs) = real_segment(kResetSelector, kResetBase, kRealCode);
    p.ldtr = real_segment(0, 0, kLdtAttributes);
    p.tr = real_segment(0, 0, kTssAttributes);
    p.gdtr = p.idtr = {.limit = 0xFFFF, .base = 0};
    p.cr2 = p.cr3 = p.cr4 = 0;
    p.msr.efer = 0;
    p.dr = {};
    p.dr[6] = dr6::kFixed;
    p.dr[7] = dr7::kFixed;
    p.fault.reset();
    p.pending_event.reset();
    p.pending_debug = 0;
    p.interrupt_shadow = p.debug_shadow = p.nmi_blocked = p.nmi_pending = p.shutdown = false;
    p.attention = true;
    p.run_state = is_boot_processor(p) ? RunState::kRunning : RunState::kWaitForSipi;
    update_mode(p);
    flush_tlb(p);
    select_tlb(p);
}

} // namespace

void reset_state(Processor& p) {
    constexpr std::uint64_t kFastStrings = 1;
    reset_x87(p.regs);
    p.xcr0 = cpuid::xcr0::X87;
    p.msr = {};
    if (p.model.vendor == ProcessorModel::Vendor::kIntel) p.msr.misc_enable = kFastStrings;
    p.cr0 = cr0::CD | cr0::NW | cr0::ET;
    set_initial_registers(p);
}

void apply_init(Processor& p) {
    p.cr0 = (p.cr0 & (cr0::CD | cr0::NW)) | cr0::ET;
    p.interrupts.reset_by_init();
    set_initial_registers(p);
}

void apply_startup(Processor& p, std::uint8_t vector) {
    p.segment(SegmentName::kCs) =
        real_segment(static_cast<std::uint16_t>(vector << 8), std::uint64_t{vector} << 12, kRealCode);
    p.rip = 0;
    p.run_state = RunState::kRunning;
    p.attention = true;
    update_mode(p);
}

} // namespace touka::cpu::interpreter
