// Saving and restoring one processor. Order matters to the kernel: modes before what is checked against them, events
// last because other calls clear them.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "cpu/kvm/kvm_chip_state.hpp"
#include "cpu/kvm/kvm_register_state.hpp"
#include "cpu/kvm/kvm_vcpu.hpp"
#include "spec/x86/msr.hpp"

namespace touka::cpu::kvm {

namespace {

constexpr std::size_t kClassicXsaveBytes = sizeof(kvm_xsave::region);

unsigned long get_xsave_call(std::size_t length_bytes) {
    return length_bytes > kClassicXsaveBytes ? kGetXsave2 : kGetXsave;
}

kvm_msr_entry& only_entry(const KvmList<kvm_msr_entry>& list) { return list.entries()[0]; }

} // namespace

std::expected<CpuState, CpuError> KvmVcpu::state() {
    const int fd = parts_.fd.get();
    CpuState state;

    kvm_mp_state mp{}; // first: the kernel takes pending INIT and start-up IPIs before it answers
    if (::ioctl(fd, KVM_GET_MP_STATE, &mp) < 0) return fail("KVM_GET_MP_STATE");
    state.run_state = run_state(mp);

    kvm_regs regs{};
    if (::ioctl(fd, KVM_GET_REGS, &regs) < 0) return fail("KVM_GET_REGS");
    read_registers(regs, state);

    kvm_sregs sregs{};
    if (::ioctl(fd, KVM_GET_SREGS, &sregs) < 0) return fail("KVM_GET_SREGS");
    read_system_registers(sregs, state);

    kvm_debugregs debug{};
    if (::ioctl(fd, KVM_GET_DEBUGREGS, &debug) < 0) return fail("KVM_GET_DEBUGREGS");
    std::ranges::copy(debug.db, state.dr.begin());
    state.dr[6] = debug.dr6;
    state.dr[7] = debug.dr7;

    kvm_xcrs xcrs{};
    if (::ioctl(fd, KVM_GET_XCRS, &xcrs) < 0) return fail("KVM_GET_XCRS");
    if (xcrs.nr_xcrs != 0) state.xcr0 = xcrs.xcrs[0].value;

    std::vector<std::uint8_t> xsave(parts_.xsave_bytes);
    if (::ioctl(fd, get_xsave_call(xsave.size()), xsave.data()) < 0) return fail("KVM_GET_XSAVE");
    state.xsave = cut_xsave(xsave, state.xcr0, parts_.cpuid);

    if (!msrs_.read(state.msrs)) return fail("KVM_GET_MSRS");
    std::ranges::sort(state.msrs, {}, &MsrValue::index);

    kvm_vcpu_events pending{};
    if (::ioctl(fd, KVM_GET_VCPU_EVENTS, &pending) < 0) return fail("KVM_GET_VCPU_EVENTS");
    read_events(pending, state);
    return state;
}

std::expected<void, CpuError> KvmVcpu::set_state(const CpuState& state) {
    const int fd = parts_.fd.get();

    kvm_sregs sregs{};
    if (::ioctl(fd, KVM_GET_SREGS, &sregs) < 0) return fail("KVM_GET_SREGS");
    write_system_registers(state, sregs);
    if (::ioctl(fd, KVM_SET_SREGS, &sregs) < 0) return fail("KVM_SET_SREGS");

    kvm_regs regs = general_registers(state);
    if (::ioctl(fd, KVM_SET_REGS, &regs) < 0) return fail("KVM_SET_REGS");

    kvm_xcrs xcrs{};
    xcrs.nr_xcrs = 1;
    xcrs.xcrs[0].value = state.xcr0;
    if (::ioctl(fd, KVM_SET_XCRS, &xcrs) < 0) return fail("KVM_SET_XCRS");

    std::vector<std::uint8_t> xsave(parts_.xsave_bytes);
    if (!fill_xsave(state.xsave, xsave)) {
        failure_ = "the saved vector state is of another processor";
        return std::unexpected(CpuError::kInvalidState);
    }
    if (::ioctl(fd, kSetXsave, xsave.data()) < 0) return fail("KVM_SET_XSAVE");

    if (const auto refused = msrs_.write(state.msrs)) {
        failure_ =
            fmt::format("this processor does not take the saved value of model-specific register {:#x}", *refused);
        return std::unexpected(CpuError::kInvalidState);
    }

    kvm_debugregs debug{};
    std::copy_n(state.dr.begin(), 4, debug.db);
    debug.dr6 = state.dr[6];
    debug.dr7 = state.dr[7];
    if (::ioctl(fd, KVM_SET_DEBUGREGS, &debug) < 0) return fail("KVM_SET_DEBUGREGS");

    kvm_mp_state mp = mp_state(state.run_state);
    if (::ioctl(fd, KVM_SET_MP_STATE, &mp) < 0) return fail("KVM_SET_MP_STATE");

    kvm_vcpu_events pending = events(state);
    if (::ioctl(fd, KVM_SET_VCPU_EVENTS, &pending) < 0) return fail("KVM_SET_VCPU_EVENTS");
    return {};
}

std::expected<LocalApicState, CpuError> KvmVcpu::local_apic_state() {
    const int fd = parts_.fd.get();
    kvm_lapic_state chip{};
    if (::ioctl(fd, KVM_GET_LAPIC, &chip) < 0) return fail("KVM_GET_LAPIC");
    LocalApicState state = from_kvm(chip);

    kvm_sregs sregs{};
    if (::ioctl(fd, KVM_GET_SREGS, &sregs) < 0) return fail("KVM_GET_SREGS");
    state.apic_base = sregs.apic_base;

    const KvmList<kvm_msr_entry> deadline(1);
    only_entry(deadline).index = spec::x86::msr::kTscDeadline;
    if (::ioctl(fd, kGetMsrs, deadline.argument()) == 1) state.tsc_deadline = only_entry(deadline).data;
    return state;
}

std::expected<void, CpuError> KvmVcpu::set_local_apic_state(const LocalApicState& state) {
    const int fd = parts_.fd.get();
    kvm_sregs sregs{};
    if (::ioctl(fd, KVM_GET_SREGS, &sregs) < 0) return fail("KVM_GET_SREGS");
    sregs.apic_base = state.apic_base;
    if (::ioctl(fd, KVM_SET_SREGS, &sregs) < 0) return fail("KVM_SET_SREGS");

    kvm_lapic_state chip = to_kvm(state);
    if (::ioctl(fd, KVM_SET_LAPIC, &chip) < 0) return fail("KVM_SET_LAPIC");

    if (state.tsc_deadline == 0) return {};
    const KvmList<kvm_msr_entry> deadline(1);
    only_entry(deadline).index = spec::x86::msr::kTscDeadline;
    only_entry(deadline).data = state.tsc_deadline;
    if (::ioctl(fd, kSetMsrs, deadline.argument()) != 1) return fail("IA32_TSC_DEADLINE");
    return {};
}

} // namespace touka::cpu::kvm
