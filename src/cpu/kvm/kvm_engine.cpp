#include "cpu/kvm/kvm_engine.hpp"

#include <fmt/format.h>

#include "spec/x86/cpuid.hpp"

namespace touka::cpu::kvm {

namespace {

// Pages that VT-x needs for itself while the guest is in real mode: in the device hole, below all firmware.
constexpr std::uint64_t kIdentityMapAddress = 0xFEFF'C000, kTssAddress = 0xFEFF'D000;

constexpr std::uint32_t kKvmSignatureStart = 0x4B4D'564B; // "KVMK" in EBX of leaf 4000'0000h

bool shows_kvm(const CpuidTable& cpuid) {
    return cpuid.lookup(spec::x86::cpuid::kHypervisor, 0).ebx == kKvmSignatureStart;
}

kvm_ioeventfd kernel_doorbell(const Doorbell& doorbell) {
    kvm_ioeventfd d{};
    d.addr = doorbell.address;
    d.len = doorbell.width_bytes;
    d.fd = doorbell.notification->fd();
    if (doorbell.is_port) d.flags |= KVM_IOEVENTFD_FLAG_PIO;
    if (doorbell.match) {
        d.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
        d.datamatch = *doorbell.match;
    }
    return d;
}

} // namespace

KvmEngine::KvmEngine(KvmSystem system, runtime::UniqueFd vm, memory::GuestMemory& memory)
    : system_(std::move(system)), vm_(std::move(vm)), guest_memory_(memory),
      memory_(vm_.get(), memory, static_cast<std::uint32_t>(system_.capability(KVM_CAP_NR_MEMSLOTS))) {}

std::expected<std::unique_ptr<KvmEngine>, KvmFailure> KvmEngine::create(memory::GuestMemory& memory,
                                                                        std::uint32_t vcpu_count) {
    auto system = KvmSystem::open();
    if (!system) return std::unexpected(system.error());
    const int limit = system->capability(KVM_CAP_MAX_VCPUS);
    if (vcpu_count == 0 || (limit != 0 && vcpu_count > static_cast<std::uint32_t>(limit))) {
        return std::unexpected(
            KvmFailure{CpuError::kUnsupported,
                       fmt::format("KVM on this host takes 1 to {} processors, not {}", limit, vcpu_count)});
    }
    runtime::UniqueFd vm(::ioctl(system->fd(), KVM_CREATE_VM, 0));
    if (!vm) return std::unexpected(system_failure("KVM_CREATE_VM"));
    std::unique_ptr<KvmEngine> engine(new KvmEngine(std::move(*system), std::move(vm), memory));
    if (auto done = engine->set_up(vcpu_count); !done) return std::unexpected(done.error());
    KvmKick::prepare_process();
    return engine;
}

std::expected<void, KvmFailure> KvmEngine::set_up(std::uint32_t vcpu_count) {
    const int vm = vm_.get();
    std::uint64_t identity_map = kIdentityMapAddress;
    if (::ioctl(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) < 0) {
        return std::unexpected(system_failure("KVM_SET_IDENTITY_MAP_ADDR"));
    }
    if (::ioctl(vm, KVM_SET_TSS_ADDR, kTssAddress) < 0) return std::unexpected(system_failure("KVM_SET_TSS_ADDR"));

    const int x2apic = system_.capability(KVM_CAP_X2APIC_API);
    constexpr int kWideIds = KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK;
    if ((x2apic & kWideIds) == kWideIds) {
        kvm_enable_cap cap{};
        cap.cap = KVM_CAP_X2APIC_API;
        cap.args[0] = kWideIds;
        if (::ioctl(vm, KVM_ENABLE_CAP, &cap) < 0) return std::unexpected(system_failure("KVM_CAP_X2APIC_API"));
    } else if (vcpu_count > 255) {
        return std::unexpected(KvmFailure{CpuError::kUnsupported, "this kernel's KVM has 8-bit APIC IDs only"});
    }

    const int gsi_limit = system_.capability(KVM_CAP_IRQ_ROUTING);
    auto interrupts = KvmInterrupts::create(vm, static_cast<std::uint32_t>(gsi_limit));
    if (!interrupts) return std::unexpected(interrupts.error());
    interrupts_ = std::move(*interrupts);

    // The virtual machine itself answers only on newer kernels.
    const int khz = ::ioctl(vm, KVM_GET_TSC_KHZ, 0);
    tsc_frequency_hz_ = khz > 0 ? static_cast<std::uint64_t>(khz) * 1000 : system_.tsc_frequency_hz();
    return memory_.update_slots();
}

std::expected<std::unique_ptr<Vcpu>, CpuError> KvmEngine::make_vcpu(std::uint32_t index, const CpuidTable& cpuid,
                                                                    VcpuPorts ports) {
    auto vcpu = make_kvm_vcpu(index, cpuid, *ports.bus);
    if (!vcpu) return std::unexpected(vcpu.error());
    return std::unique_ptr<Vcpu>(std::move(*vcpu));
}

std::expected<std::unique_ptr<KvmVcpu>, CpuError> KvmEngine::make_kvm_vcpu(std::uint32_t index, const CpuidTable& cpuid,
                                                                           CpuBus& bus) {
    KvmVcpuParts parts;
    parts.fd = runtime::UniqueFd(::ioctl(vm_.get(), KVM_CREATE_VCPU, static_cast<unsigned long>(index)));
    if (!parts.fd) return fail(system_failure("KVM_CREATE_VCPU"));
    parts.mapping = std::make_unique<KvmRunMapping>(parts.fd.get(), system_.vcpu_mapping_bytes());
    if (parts.mapping->get() == nullptr) return fail(system_failure("mapping a vCPU"));

    const auto list = to_kvm(cpuid);
    if (::ioctl(parts.fd.get(), kSetCpuid2, list.argument()) < 0) return fail(system_failure("KVM_SET_CPUID2"));
    if (system_.capability(KVM_CAP_ENFORCE_PV_FEATURE_CPUID) != 0) {
        // What the guest is not shown it cannot use: paravirtual registers and calls follow the table.
        kvm_enable_cap cap{};
        cap.cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID;
        cap.args[0] = 1;
        if (::ioctl(parts.fd.get(), KVM_ENABLE_CAP, &cap) < 0) {
            return fail(system_failure("KVM_CAP_ENFORCE_PV_FEATURE_CPUID"));
        }
    }
    const int xsave_bytes = ::ioctl(vm_.get(), KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);
    if (xsave_bytes > 0) parts.xsave_bytes = static_cast<std::size_t>(xsave_bytes);
    parts.memory = &guest_memory_;
    parts.bus = &bus;
    parts.cpuid = cpuid;
    parts.paravirtual = shows_kvm(cpuid);
    return std::make_unique<KvmVcpu>(std::move(parts));
}

void KvmEngine::collect_dirty() {
    if (auto done = memory_.collect_dirty(); !done) failure_ = done.error().text;
}

void KvmEngine::dirty_log_changed() {
    if (auto done = memory_.update_slots(); !done) failure_ = done.error().text;
}

bool KvmEngine::attach_doorbell(const Doorbell& doorbell) {
    kvm_ioeventfd d = kernel_doorbell(doorbell);
    return ::ioctl(vm_.get(), KVM_IOEVENTFD, &d) == 0;
}

void KvmEngine::detach_doorbell(const Doorbell& doorbell) {
    kvm_ioeventfd d = kernel_doorbell(doorbell);
    d.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
    (void)::ioctl(vm_.get(), KVM_IOEVENTFD, &d);
}

std::expected<KvmClockState, CpuError> KvmEngine::clock() {
    kvm_clock_data data{};
    if (::ioctl(vm_.get(), KVM_GET_CLOCK, &data) < 0) return fail(system_failure("KVM_GET_CLOCK"));
    return KvmClockState{data.clock};
}

std::expected<void, CpuError> KvmEngine::set_clock(const KvmClockState& state) {
    kvm_clock_data data{};
    data.clock = state.nanoseconds;
    if (::ioctl(vm_.get(), KVM_SET_CLOCK, &data) < 0) return fail(system_failure("KVM_SET_CLOCK"));
    return {};
}

std::unexpected<CpuError> KvmEngine::fail(KvmFailure failure) {
    failure_ = std::move(failure.text);
    return std::unexpected(failure.error);
}

} // namespace touka::cpu::kvm
