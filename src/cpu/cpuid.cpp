#include "cpu/cpuid.hpp"

#include <cpuid.h>

#include <algorithm>
#include <tuple>

#include "spec/x86/cpuid.hpp"

namespace touka::cpu {

namespace cpuid = spec::x86::cpuid;

namespace {

CpuidRegisters execute(std::uint32_t leaf, std::uint32_t subleaf) {
    CpuidRegisters r;
    __cpuid_count(leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx);
    return r;
}

/// How many subleaves of a leaf are worth reading; 0: the leaf has none.
std::uint32_t subleaf_count(std::uint32_t leaf) {
    switch (leaf) {
        case cpuid::kCaches:
        case cpuid::kAmdCaches: return 8;
        case cpuid::kExtendedFeatures: return 2;
        case cpuid::kTopology: return 3;
        case cpuid::kXsave: return 64;
        default: return 0;
    }
}

void read_range(std::uint32_t first, std::uint32_t limit, std::vector<CpuidEntry>& entries) {
    const std::uint32_t last = execute(first, 0).eax;
    if (last < first || last > first + limit) return;
    for (std::uint32_t leaf = first; leaf <= last; ++leaf) {
        const std::uint32_t subleaves = subleaf_count(leaf);
        for (std::uint32_t subleaf = 0; subleaf < std::max(subleaves, 1u); ++subleaf) {
            const CpuidRegisters registers = execute(leaf, subleaf);
            if (registers != CpuidRegisters{}) entries.push_back({leaf, subleaf, subleaves != 0, registers});
        }
    }
}

auto place(std::uint32_t leaf, std::uint32_t subleaf) { return std::make_tuple(leaf, subleaf); }

} // namespace

CpuidTable::CpuidTable(std::vector<CpuidEntry> entries) : entries_(std::move(entries)) {
    std::ranges::sort(entries_, {}, [](const CpuidEntry& e) { return place(e.leaf, e.subleaf); });
}

CpuidRegisters CpuidTable::lookup(std::uint32_t leaf, std::uint32_t subleaf) const {
    const auto first = std::ranges::lower_bound(entries_, leaf, {}, &CpuidEntry::leaf);
    for (auto entry = first; entry != entries_.end() && entry->leaf == leaf; ++entry) {
        if (!entry->has_subleaves || entry->subleaf == subleaf) return entry->registers;
    }
    return {};
}

CpuidTable host_cpuid() {
    constexpr std::uint32_t kSaneLeafCount = 0x100;
    std::vector<CpuidEntry> entries;
    read_range(cpuid::kVendor, kSaneLeafCount, entries);
    read_range(cpuid::kExtendedMaximum, kSaneLeafCount, entries);
    return CpuidTable(std::move(entries));
}

CpuidTable make_cpuid(const CpuidPolicy& policy) { return make_cpuid(policy, host_cpuid()); }

} // namespace touka::cpu
