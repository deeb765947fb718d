#include "cpu/kvm/kvm_system.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "cpu/cpuid_features.hpp"
#include "spec/x86/cpuid.hpp"

namespace touka::cpu::kvm {

namespace {

struct Requirement {
    int number;
    std::string_view name;
};
constexpr std::array kRequired = {
    Requirement{KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"},
    Requirement{KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
    Requirement{KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR"},
    Requirement{KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
    Requirement{KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE"},
    Requirement{KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING"},
    Requirement{KVM_CAP_IRQFD, "KVM_CAP_IRQFD"},
    Requirement{KVM_CAP_PIT2, "KVM_CAP_PIT2"},
    Requirement{KVM_CAP_PIT_STATE2, "KVM_CAP_PIT_STATE2"},
    Requirement{KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD"},
    Requirement{KVM_CAP_SET_IDENTITY_MAP_ADDR, "KVM_CAP_SET_IDENTITY_MAP_ADDR"},
    Requirement{KVM_CAP_ADJUST_CLOCK, "KVM_CAP_ADJUST_CLOCK"},
    Requirement{KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS"},
    Requirement{KVM_CAP_DEBUGREGS, "KVM_CAP_DEBUGREGS"},
    Requirement{KVM_CAP_XSAVE, "KVM_CAP_XSAVE"},
    Requirement{KVM_CAP_XCRS, "KVM_CAP_XCRS"},
    Requirement{KVM_CAP_GET_TSC_KHZ, "KVM_CAP_GET_TSC_KHZ"},
    Requirement{KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI"},
    Requirement{KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
};

KvmFailure open_failure(int error) {
    switch (error) {
        case EACCES:
        case EPERM:
            return {CpuError::kNoPermission, "/dev/kvm may not be opened by this user (is it in the group kvm?)"};
        case ENOENT: return {CpuError::kUnavailable, "there is no /dev/kvm on this host"};
        case ENODEV:
        case ENXIO:
            return {CpuError::kUnavailable, "/dev/kvm is there, but the kernel has no virtualization behind it"};
        default: return {CpuError::kHostFailure, fmt::format("/dev/kvm: {}", std::strerror(error))};
    }
}

} // namespace

std::expected<KvmSystem, KvmFailure> KvmSystem::open() {
    runtime::UniqueFd fd(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
    if (!fd) return std::unexpected(open_failure(errno));
    KvmSystem system(std::move(fd));
    const int version = ::ioctl(system.fd(), KVM_GET_API_VERSION, 0);
    if (version != KVM_API_VERSION) {
        return std::unexpected(KvmFailure{CpuError::kUnavailable,
                                          fmt::format("/dev/kvm speaks version {}, not {}", version, KVM_API_VERSION)});
    }
    for (const Requirement& requirement : kRequired) {
        if (system.capability(requirement.number) > 0) continue;
        return std::unexpected(
            KvmFailure{CpuError::kUnavailable, fmt::format("this kernel's KVM has no {}", requirement.name)});
    }
    return system;
}

int KvmSystem::capability(int number) const {
    const int value = ::ioctl(fd(), KVM_CHECK_EXTENSION, number);
    return value > 0 ? value : 0;
}

CpuidTable KvmSystem::supported_cpuid() const {
    constexpr std::size_t kMostEntries = 256; // the kernel's own limit
    const KvmList<kvm_cpuid_entry2> list(kMostEntries);
    if (::ioctl(fd(), kGetSupportedCpuid, list.argument()) < 0) return CpuidTable({});
    return from_kvm(list);
}

CpuFeatures KvmSystem::features() const {
    CpuFeatures features = features_of(supported_cpuid());
    // Not in the list on all kernels, because it depends on who makes the local APIC: here the kernel does.
    features.leaf1_ecx |= spec::x86::cpuid::leaf1_ecx::X2APIC;
    if (capability(KVM_CAP_TSC_DEADLINE_TIMER) != 0) features.leaf1_ecx |= spec::x86::cpuid::leaf1_ecx::TSC_DEADLINE;
    return features;
}

std::size_t KvmSystem::vcpu_mapping_bytes() const {
    const int bytes = ::ioctl(fd(), KVM_GET_VCPU_MMAP_SIZE, 0);
    return bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

std::uint64_t KvmSystem::tsc_frequency_hz() const {
    const runtime::UniqueFd vm(::ioctl(fd(), KVM_CREATE_VM, 0));
    const runtime::UniqueFd vcpu(vm ? ::ioctl(vm.get(), KVM_CREATE_VCPU, 0) : -1);
    const int khz = vcpu ? ::ioctl(vcpu.get(), KVM_GET_TSC_KHZ, 0) : 0;
    return khz > 0 ? static_cast<std::uint64_t>(khz) * 1000 : 0;
}

} // namespace touka::cpu::kvm
