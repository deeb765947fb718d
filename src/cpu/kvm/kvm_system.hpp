#pragma once

#include <expected>

#include "cpu/cpuid.hpp"
#include "cpu/kvm/kvm_call.hpp"
#include "runtime/unique_fd.hpp"

namespace touka::cpu::kvm {

/// /dev/kvm: what the kernel can do, before there is a machine. Immutable; any thread.
class KvmSystem {
public:
    /// @return kUnavailable when there is no /dev/kvm or it lacks a capability that Touka needs, kNoPermission when
    /// the user may not open it. The text names the capability or the remedy.
    [[nodiscard]] static std::expected<KvmSystem, KvmFailure> open();

    [[nodiscard]] int fd() const { return fd_.get(); }
    /// The value of KVM_CHECK_EXTENSION; 0: absent.
    [[nodiscard]] int capability(int number) const;
    /// KVM_GET_SUPPORTED_CPUID.
    [[nodiscard]] CpuidTable supported_cpuid() const;
    /// What the engine can deliver.
    [[nodiscard]] CpuFeatures features() const;
    [[nodiscard]] std::size_t vcpu_mapping_bytes() const;
    /// Of the TSC that new vCPUs get; 0 when the kernel does not say. Makes a machine of one vCPU to ask it.
    [[nodiscard]] std::uint64_t tsc_frequency_hz() const;

private:
    explicit KvmSystem(runtime::UniqueFd fd) : fd_(std::move(fd)) {}
    runtime::UniqueFd fd_;
};

} // namespace touka::cpu::kvm
