// Builds the leaves that a guest sees, one group of leaves a function.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string_view>
#include <utility>

#include "cpu/cpuid.hpp"
#include "cpu/cpuid_features.hpp"
#include "spec/x86/cpuid.hpp"

namespace touka::cpu {

namespace cpuid = spec::x86::cpuid;

namespace {

constexpr std::uint32_t kHighestAmdLeaf = cpuid::kXsave, kHighestIntelLeaf = cpuid::kFrequency;
constexpr std::uint32_t kHighestAmdExtendedLeaf = cpuid::kExtendedFeatures2,
                        kHighestIntelExtendedLeaf = cpuid::kAddressSizes;

/// Twelve characters in EBX, ECX, EDX, as leaf 4000'0000h has them.
constexpr std::string_view kToukaSignature = "ToukaToukaTo", kKvmSignature{"KVMKVMKVM\0\0\0", 12};

/// What Touka passes through from the kernel's paravirtual leaf: the clock. The rest is left out until somebody
/// measures that it is worth what it hides from the guest.
constexpr std::uint32_t kKvmOffered = cpuid::kvm_eax::CLOCKSOURCE | cpuid::kvm_eax::NOP_IO_DELAY |
                                      cpuid::kvm_eax::CLOCKSOURCE2 | cpuid::kvm_eax::CLOCKSOURCE_STABLE;

std::uint32_t word(std::string_view text, std::size_t at) {
    std::uint32_t value = 0;
    std::memcpy(&value, text.data() + at, sizeof value);
    return value;
}

/// numerator / denominator near `ratio_of` / `over`, with a numerator that stays below the limit.
struct Fraction {
    std::uint32_t numerator, denominator;
};
Fraction approximate(std::uint64_t ratio_of, std::uint64_t over, std::uint64_t numerator_limit) {
    // Convergents of the continued fraction: the best there are for their size.
    std::uint64_t n0 = 0, d0 = 1, n1 = 1, d1 = 0;
    while (over != 0) {
        const std::uint64_t digit = ratio_of / over;
        const std::uint64_t n2 = digit * n1 + n0, d2 = digit * d1 + d0;
        if (n2 > numerator_limit || d2 > numerator_limit) break;
        n0 = std::exchange(n1, n2);
        d0 = std::exchange(d1, d2);
        ratio_of = std::exchange(over, ratio_of % over);
    }
    return {static_cast<std::uint32_t>(n1), static_cast<std::uint32_t>(d1)};
}

class Builder {
public:
    Builder(const CpuidPolicy& policy, const CpuidTable& host)
        : policy_(policy), host_(host), features_(offered_features(policy.features, policy.emulated, host)) {
        const CpuidRegisters vendor = host.lookup(cpuid::kVendor, 0);
        amd_ = vendor.ecx == word("cAMD", 0) || vendor.ecx == word("uine", 0); // AuthenticAMD, HygonGenuine
        intel_ = vendor.ecx == word("ntel", 0);
        // An AMD processor has no such register; KVM offers it there all the same, and Linux would wonder.
        if (amd_) features_.leaf7_edx &= ~cpuid::leaf7_edx::ARCH_CAPABILITIES;
    }

    CpuidTable build() {
        basic();
        if (intel_) caches(cpuid::kCaches, true);
        topology();
        if (features_.xcr0 != 0) xsave();
        if (intel_ && policy_.tsc_frequency_hz != 0) frequency();
        hypervisor();
        extended();
        if (amd_) amd();
        return CpuidTable(std::move(entries_));
    }

private:
    void add(std::uint32_t leaf, CpuidRegisters registers) { entries_.push_back({leaf, 0, false, registers}); }
    void add(std::uint32_t leaf, std::uint32_t subleaf, CpuidRegisters registers) {
        entries_.push_back({leaf, subleaf, true, registers});
    }
    [[nodiscard]] CpuidRegisters host(std::uint32_t leaf, std::uint32_t subleaf = 0) const {
        return host_.lookup(leaf, subleaf);
    }
    /// Bits of an APIC ID that number the cores.
    [[nodiscard]] std::uint32_t core_bits() const {
        return static_cast<std::uint32_t>(std::bit_width(policy_.vcpu_count - 1));
    }

    void basic() {
        CpuidRegisters vendor = host(cpuid::kVendor);
        vendor.eax = intel_ ? kHighestIntelLeaf : kHighestAmdLeaf;
        add(cpuid::kVendor, vendor);

        CpuidRegisters leaf1 = host(cpuid::kFeatures);
        leaf1.ebx = (leaf1.ebx & 0xFF00) | std::min(policy_.vcpu_count, 255u) << 16 | (policy_.vcpu_index & 0xFF) << 24;
        leaf1.ecx = features_.leaf1_ecx | cpuid::leaf1_ecx::HYPERVISOR;
        leaf1.edx = features_.leaf1_edx | (policy_.vcpu_count > 1 ? cpuid::leaf1_edx::HTT : 0);
        add(cpuid::kFeatures, leaf1);

        if (intel_) add(cpuid::kDescriptors, host(cpuid::kDescriptors));
        add(cpuid::kThermal, {.eax = cpuid::thermal_eax::ARAT});
        add(cpuid::kExtendedFeatures, 0,
            {features_.leaf7_1_eax != 0 ? 1u : 0u, features_.leaf7_ebx, features_.leaf7_ecx, features_.leaf7_edx});
        add(cpuid::kExtendedFeatures, 1, {.eax = features_.leaf7_1_eax});
    }

    /// The host's caches, shared as our topology has it: level 3 by all cores, the others by nobody.
    /// (SDM leaf 4 and APM leaf 8000'001Dh: EAX 4:0 type, 7:5 level, 25:14 sharers - 1, Intel 31:26 cores - 1)
    void caches(std::uint32_t leaf, bool with_core_count) {
        for (std::uint32_t subleaf = 0; (host(leaf, subleaf).eax & 0x1F) != 0; ++subleaf) {
            CpuidRegisters cache = host(leaf, subleaf);
            const std::uint32_t level = (cache.eax >> 5) & 7;
            const std::uint32_t sharers = level >= 3 ? (1u << core_bits()) - 1 : 0;
            const std::uint32_t cores = with_core_count ? std::min((1u << core_bits()) - 1, 63u) : 0;
            cache.eax = (cache.eax & 0x3FFF) | std::min(sharers, 0xFFFu) << 14 | cores << 26;
            add(leaf, subleaf, cache);
        }
    }

    /// (SDM leaf Bh: EAX 4:0 shift to the next level, EBX processors at this level, ECX 15:8 level type)
    void topology() {
        constexpr std::uint32_t kSmt = 1u << 8, kCore = 2u << 8;
        const std::uint32_t id = policy_.vcpu_index;
        add(cpuid::kTopology, 0, {.eax = 0, .ebx = 1, .ecx = kSmt | 0, .edx = id});
        add(cpuid::kTopology, 1, {.eax = core_bits(), .ebx = policy_.vcpu_count, .ecx = kCore | 1, .edx = id});
        add(cpuid::kTopology, 2, {.ecx = 2, .edx = id});
    }

    void xsave() {
        std::uint32_t size = cpuid::kXsaveHeaderEnd;
        for (std::uint32_t component = 2; component < 63; ++component) {
            if ((features_.xcr0 >> component & 1) == 0) continue;
            CpuidRegisters c = host(cpuid::kXsave, component);
            c.ecx &= ~1u; // a user component: in XCR0, not in IA32_XSS
            size = std::max(size, c.eax + c.ebx);
            add(cpuid::kXsave, component, c);
        }
        const auto low = static_cast<std::uint32_t>(features_.xcr0);
        const auto high = static_cast<std::uint32_t>(features_.xcr0 >> 32);
        add(cpuid::kXsave, 0, {.eax = low, .ebx = size, .ecx = size, .edx = high});
        const bool compact = (features_.leaf13_1_eax & cpuid::leaf13_1_eax::XSAVEC) != 0;
        add(cpuid::kXsave, 1, {.eax = features_.leaf13_1_eax, .ebx = compact ? size : 0});
    }

    /// Linux takes the local APIC timer to run at the crystal's frequency and multiplies kHz by the numerator in 32
    /// bits, so the crystal is the timer's 1 GHz and the numerator stays small. (SDM leaf 15h)
    void frequency() {
        constexpr std::uint32_t kCrystalHz = 1'000'000'000;
        const Fraction ratio =
            approximate(policy_.tsc_frequency_hz, kCrystalHz, ~std::uint32_t{0} / (kCrystalHz / 1000));
        add(cpuid::kTscCrystal, {.eax = ratio.denominator, .ebx = ratio.numerator, .ecx = kCrystalHz});
        const auto mhz = static_cast<std::uint32_t>(policy_.tsc_frequency_hz / 1'000'000) & 0xFFFF;
        add(cpuid::kFrequency, {.eax = mhz, .ebx = mhz, .ecx = 100});
    }

    void hypervisor() {
        const std::uint32_t kvm = policy_.kvm_paravirtual ? features_.kvm_eax & kKvmOffered : 0;
        const std::string_view name = kvm != 0 ? kKvmSignature : kToukaSignature;
        add(cpuid::kHypervisor, {cpuid::kHypervisorTiming, word(name, 0), word(name, 4), word(name, 8)});
        if (kvm != 0) add(cpuid::kKvmFeatures, {.eax = kvm});
        // Begun by VMware, read by FreeBSD under any hypervisor: EAX is the TSC's frequency in kHz. Linux reads it
        // under VMware's own name alone; there the frequency comes from kvmclock, leaf 15h (Intel) or calibration.
        add(cpuid::kHypervisorTiming, {.eax = static_cast<std::uint32_t>(policy_.tsc_frequency_hz / 1000)});
    }

    void extended() {
        CpuidRegisters maximum = host(cpuid::kExtendedMaximum);
        maximum.eax = amd_ ? kHighestAmdExtendedLeaf : kHighestIntelExtendedLeaf;
        add(cpuid::kExtendedMaximum, maximum);

        CpuidRegisters processor = host(cpuid::kExtendedProcessor);
        processor.ecx = features_.extended1_ecx;
        if (amd_ && policy_.vcpu_count > 1) processor.ecx |= cpuid::extended1_ecx::CMP_LEGACY;
        processor.edx = features_.extended1_edx;
        add(cpuid::kExtendedProcessor, processor);

        for (std::uint32_t leaf = cpuid::kBrandFirst; leaf <= cpuid::kBrandLast; ++leaf) add(leaf, host(leaf));
        if (amd_) add(cpuid::kL1Cache, host(cpuid::kL1Cache));
        add(cpuid::kL2Cache, host(cpuid::kL2Cache));
        add(cpuid::kPowerManagement, {.edx = cpuid::power_edx::INVARIANT_TSC});

        const CpuidRegisters host_sizes = host(cpuid::kAddressSizes);
        std::uint32_t physical = host_sizes.eax & 0xFF;
        if (features_.physical_address_bits != 0)
            physical = std::min<std::uint32_t>(physical, features_.physical_address_bits);
        CpuidRegisters sizes{.eax = physical | linear_bits() << 8, .ebx = features_.extended8_ebx};
        if (amd_) sizes.ecx = ((policy_.vcpu_count - 1) & 0xFF) | core_bits() << 12;
        add(cpuid::kAddressSizes, sizes);
    }

    [[nodiscard]] std::uint32_t linear_bits() const {
        return (features_.leaf7_ecx & cpuid::leaf7_ecx::LA57) != 0 ? 57 : 48;
    }

    void amd() {
        for (const std::uint32_t leaf : {cpuid::kHugePageTlb, cpuid::kPerformanceHints}) add(leaf, host(leaf));
        if ((features_.extended1_ecx & cpuid::extended1_ecx::TOPOEXT) != 0) {
            caches(cpuid::kAmdCaches, false);
            // One thread a core, one node. (APM leaf 8000'001Eh: EAX APIC ID, EBX 7:0 core, 15:8 threads - 1)
            add(cpuid::kAmdTopology, {.eax = policy_.vcpu_index, .ebx = policy_.vcpu_index & 0xFF});
        }
        add(cpuid::kExtendedFeatures2, {.eax = features_.extended21_eax, .ecx = features_.extended21_ecx});
    }

    const CpuidPolicy& policy_;
    const CpuidTable& host_;
    CpuFeatures features_;
    bool amd_ = false, intel_ = false;
    std::vector<CpuidEntry> entries_;
};

} // namespace

CpuidTable make_cpuid(const CpuidPolicy& policy, const CpuidTable& host) { return Builder(policy, host).build(); }

} // namespace touka::cpu
