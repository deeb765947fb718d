#include "cpu/interpreter/xsave_layout.hpp"

#include <algorithm>

#include "spec/x86/cpuid.hpp"
#include "spec/x86/floating_point_state.hpp"

namespace touka::cpu::interpreter {

namespace cpuid = spec::x86::cpuid;
namespace xsave = spec::x86::xsave;

namespace {

constexpr unsigned kFirstExtended = 2;
constexpr std::uint32_t kAlignedBit = 2, kAlignment = 64; // leaf Dh, sub-leaf n, ECX

constexpr bool has(std::uint64_t components, unsigned component) { return (components >> component & 1) != 0; }

} // namespace

XsaveLayout::XsaveLayout(const CpuidTable& table) {
    const CpuidRegisters all = table.lookup(cpuid::kXsave, 0);
    components_ = xsave::kX87 | xsave::kSse;
    for (unsigned n = kFirstExtended; n < kMaxComponents; ++n) {
        const CpuidRegisters r = table.lookup(cpuid::kXsave, n);
        if (!has(all.eax, n) || r.eax == 0) continue;
        places_[n] = {.offset = r.ebx, .length_bytes = r.eax, .aligned = (r.ecx & kAlignedBit) != 0};
        components_ |= std::uint64_t{1} << n;
    }
}

std::uint32_t XsaveLayout::compacted_start(std::uint32_t end, unsigned component) const {
    return places_[component].aligned ? (end + kAlignment - 1) & ~(kAlignment - 1) : end;
}

std::uint32_t XsaveLayout::compacted_offset(std::uint64_t form, unsigned component) const {
    return compacted_start(compacted_bytes(form & ((std::uint64_t{1} << component) - 1)), component);
}

std::uint32_t XsaveLayout::standard_bytes(std::uint64_t components) const {
    std::uint32_t end = xsave::kHeaderEnd;
    for (unsigned n = kFirstExtended; n < kMaxComponents; ++n)
        if (has(components, n)) end = std::max(end, places_[n].offset + places_[n].length_bytes);
    return end;
}

std::uint32_t XsaveLayout::compacted_bytes(std::uint64_t form) const {
    std::uint32_t end = xsave::kHeaderEnd;
    for (unsigned n = kFirstExtended; n < kMaxComponents; ++n)
        if (has(form, n)) end = compacted_start(end, n) + places_[n].length_bytes;
    return end;
}

} // namespace touka::cpu::interpreter
