#include "cpu/kvm/kvm_call.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace touka::cpu::kvm {

KvmFailure system_failure(std::string_view call) {
    return {CpuError::kHostFailure, fmt::format("{}: {}", call, std::strerror(errno))};
}

KvmList<kvm_cpuid_entry2> to_kvm(const CpuidTable& table) {
    KvmList<kvm_cpuid_entry2> list(table.entries().size());
    std::ranges::transform(table.entries(), list.entries().begin(), [](const CpuidEntry& e) {
        kvm_cpuid_entry2 entry{};
        entry.function = e.leaf;
        entry.index = e.subleaf;
        entry.flags = e.has_subleaves ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0;
        entry.eax = e.registers.eax;
        entry.ebx = e.registers.ebx;
        entry.ecx = e.registers.ecx;
        entry.edx = e.registers.edx;
        return entry;
    });
    return list;
}

CpuidTable from_kvm(const KvmList<kvm_cpuid_entry2>& list) {
    std::vector<CpuidEntry> entries;
    for (const kvm_cpuid_entry2& e : list.entries().first(std::min(list.size(), list.entries().size()))) {
        const CpuidRegisters registers{e.eax, e.ebx, e.ecx, e.edx};
        // Says nothing that a missing leaf would not; and some kernels (6.1) leave the count as large as the buffer.
        if (registers == CpuidRegisters{}) continue;
        entries.push_back({e.function, e.index, (e.flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) != 0, registers});
    }
    return CpuidTable(std::move(entries));
}

} // namespace touka::cpu::kvm
