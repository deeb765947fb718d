#include "cpu/kvm/kvm_exit_text.hpp"

#include <fmt/format.h>

#include <iterator>

namespace touka::cpu::kvm {

namespace {

std::string reason(const kvm_run& run) {
    switch (run.exit_reason) {
        case KVM_EXIT_INTERNAL_ERROR:
            if (run.internal.suberror == KVM_INTERNAL_ERROR_EMULATION) {
                return "KVM cannot emulate the instruction that the guest has come to";
            }
            return fmt::format("KVM reports an internal error of kind {}", run.internal.suberror);
        case KVM_EXIT_FAIL_ENTRY:
            return fmt::format("the processor refuses the guest's state (hardware reason {:#x})",
                               std::uint64_t{run.fail_entry.hardware_entry_failure_reason});
        case KVM_EXIT_UNKNOWN:
            return fmt::format("KVM does not know the processor's exit (hardware reason {:#x})",
                               std::uint64_t{run.hw.hardware_exit_reason});
        case KVM_EXIT_SYSTEM_EVENT: return fmt::format("KVM reports system event {}", run.system_event.type);
        default: return fmt::format("KVM stopped for reason {}, which Touka does not ask for", run.exit_reason);
    }
}

} // namespace

std::string describe_exit(const kvm_run& run, const kvm_regs& regs, const kvm_sregs& sregs,
                          std::span<const std::byte> code) {
    std::string text = reason(run);
    auto out = std::back_inserter(text);
    const auto value = [](auto v) { return static_cast<std::uint64_t>(v); };
    fmt::format_to(out, "\nrip {:016x} rflags {:08x} cs {:04x} base {:x} ss {:04x} cpl {}\n", value(regs.rip),
                   value(regs.rflags), sregs.cs.selector, value(sregs.cs.base), sregs.ss.selector, sregs.ss.dpl);
    fmt::format_to(out, "rax {:016x} rbx {:016x} rcx {:016x} rdx {:016x}\n", value(regs.rax), value(regs.rbx),
                   value(regs.rcx), value(regs.rdx));
    fmt::format_to(out, "rsi {:016x} rdi {:016x} rbp {:016x} rsp {:016x}\n", value(regs.rsi), value(regs.rdi),
                   value(regs.rbp), value(regs.rsp));
    fmt::format_to(out, "r8  {:016x} r9  {:016x} r10 {:016x} r11 {:016x}\n", value(regs.r8), value(regs.r9),
                   value(regs.r10), value(regs.r11));
    fmt::format_to(out, "r12 {:016x} r13 {:016x} r14 {:016x} r15 {:016x}\n", value(regs.r12), value(regs.r13),
                   value(regs.r14), value(regs.r15));
    fmt::format_to(out, "cr0 {:x} cr2 {:x} cr3 {:x} cr4 {:x} efer {:x}\ncode", value(sregs.cr0), value(sregs.cr2),
                   value(sregs.cr3), value(sregs.cr4), value(sregs.efer));
    for (const std::byte byte : code) fmt::format_to(out, " {:02x}", std::to_integer<unsigned>(byte));
    if (code.empty()) text += " cannot be read";
    return text;
}

} // namespace touka::cpu::kvm
