// What CPUID answers. Chosen by us for every engine: the host's features, less what the engine cannot do.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace touka::cpu {

struct CpuidRegisters {
    std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
    bool operator==(const CpuidRegisters&) const = default;
};

struct CpuidEntry {
    std::uint32_t leaf = 0;
    std::uint32_t subleaf = 0;
    bool has_subleaves = false; ///< false: ECX does not matter
    CpuidRegisters registers;
};

/// The leaves of one vCPU. Parts that change at run time (OSXSAVE, OSPKE, the enabled XSAVE size of leaf Dh)
/// are filled in by the engine, which knows CR4 and XCR0.
class CpuidTable {
public:
    explicit CpuidTable(std::vector<CpuidEntry> entries);
    /// Leaves that are not there answer zeros, as AMD processors do.
    [[nodiscard]] CpuidRegisters lookup(std::uint32_t leaf, std::uint32_t subleaf) const;
    [[nodiscard]] const std::vector<CpuidEntry>& entries() const { return entries_; }

private:
    std::vector<CpuidEntry> entries_; // ascending leaf, subleaf
};

/// Feature bits that an engine can deliver; what is offered is this and the host's own.
struct CpuFeatures {
    std::uint32_t leaf1_ecx = 0, leaf1_edx = 0;
    std::uint32_t leaf7_ebx = 0, leaf7_ecx = 0, leaf7_edx = 0;
    std::uint32_t leaf7_1_eax = 0;                      ///< AVX-VNNI, AVX512_BF16, ...
    std::uint32_t leaf13_1_eax = 0;                     ///< XSAVEOPT, XSAVEC, XGETBV(1), XSAVES
    std::uint32_t extended1_ecx = 0, extended1_edx = 0; ///< leaf 8000'0001h
    std::uint32_t extended8_ebx = 0;                    ///< leaf 8000'0008h
    std::uint32_t extended21_eax = 0;                   ///< leaf 8000'0021h: serializing LFENCE, null selectors
    std::uint32_t extended21_ecx = 0;                   ///< likewise: what the processor is not affected by
    std::uint32_t kvm_eax = 0;                          ///< leaf 4000'0001h, shown with CpuidPolicy::kvm_paravirtual
    std::uint64_t xcr0 = 0;                             ///< XSAVE components
    std::uint8_t physical_address_bits = 0;             ///< 0: as many as the host has
};

struct CpuidPolicy {
    CpuFeatures features;      ///< of the engine
    CpuFeatures emulated = {}; ///< those of them that the host need not have
    std::uint32_t vcpu_count = 1;
    std::uint32_t vcpu_index = 0; ///< also the APIC ID
    std::uint64_t tsc_frequency_hz = 0;
    bool kvm_paravirtual = false; ///< show the KVM leaves 4000'0000h (kvmclock and so on)
};

/// All leaves of the processor that this thread runs on. APIC IDs in it are those of the moment.
[[nodiscard]] CpuidTable host_cpuid();

/// The table for one vCPU: vendor, family and brand of the host, one socket with vcpu_count cores, no SMT,
/// x2APIC, invariant TSC; never MONITOR, VMX, SVM, or what the engine cannot do. Features that only software
/// provides (x2APIC, TSC deadline, TSC_ADJUST, UMIP, ARAT) do not need the host.
/// Sizes in leaf Dh EBX are those of all offered components until the engine puts in the enabled ones.
[[nodiscard]] CpuidTable make_cpuid(const CpuidPolicy& policy, const CpuidTable& host);
[[nodiscard]] CpuidTable make_cpuid(const CpuidPolicy& policy);

} // namespace touka::cpu
