#include "cpu/interpreter/control_registers.hpp"

#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/mode.hpp"
#include "spec/x86/cpuid.hpp"
#include "spec/x86/descriptor.hpp"
#include "spec/x86/page_table.hpp"

namespace touka::cpu::interpreter {

using namespace spec::x86;

namespace {

constexpr std::uint64_t kCr0Defined =
    cr0::PE | cr0::MP | cr0::EM | cr0::TS | cr0::ET | cr0::NE | cr0::WP | cr0::AM | cr0::NW | cr0::CD | cr0::PG;
/// Bits whose change makes translations or decoded code wrong.
constexpr std::uint64_t kCr0Translating = cr0::PE | cr0::WP | cr0::PG;
constexpr std::uint64_t kCr4Translating =
    cr4::PSE | cr4::PAE | cr4::PGE | cr4::PCIDE | cr4::SMEP | cr4::SMAP | cr4::LA57;

[[nodiscard]] bool refuse(Processor& p) { return p.raise(Exception::kGeneralProtection); }

[[nodiscard]] bool cs_is_64bit(const Processor& p) {
    return (p.segment(SegmentName::kCs).attributes & attribute::L) != 0;
}

/// Switching paging on or off: long mode begins and ends with it. (APM vol. 2 §14.6)
[[nodiscard]] bool can_change_paging(const Processor& p, bool paging) {
    if (paging && (p.msr.efer & efer::LME) != 0) return (p.cr4 & cr4::PAE) != 0 && !cs_is_64bit(p);
    if (!paging) return (p.cr4 & cr4::PCIDE) == 0 && !(p.long_mode && cs_is_64bit(p));
    return true;
}

} // namespace

bool write_cr0(Processor& p, std::uint64_t value) {
    if ((value >> 32) != 0) return refuse(p);
    value = (value & kCr0Defined) | cr0::ET;
    const bool paging = (value & cr0::PG) != 0;
    if (paging && (value & cr0::PE) == 0) return refuse(p);
    if ((value & cr0::NW) != 0 && (value & cr0::CD) == 0) return refuse(p);
    const std::uint64_t changed = value ^ p.cr0;
    if ((changed & cr0::PG) != 0) {
        if (!can_change_paging(p, paging)) return refuse(p);
        if (paging && (p.msr.efer & efer::LME) != 0) p.msr.efer |= efer::LMA;
        if (!paging) p.msr.efer &= ~efer::LMA;
    }
    p.cr0 = value;
    update_mode(p);
    if ((changed & kCr0Translating) != 0) flush_tlb(p);
    return true;
}

bool write_cr3(Processor& p, std::uint64_t value) {
    std::uint64_t kept = value;
    if ((p.cr4 & cr4::PCIDE) != 0) kept &= ~cr3::NO_FLUSH;
    if (p.long_mode && (kept & (~page_entry::kAddress & ~std::uint64_t{0xFFF})) != 0) return refuse(p);
    if ((kept & p.model.reserved_address_bits) != 0) return refuse(p);
    p.cr3 = kept;
    change_address_space(p, (p.cr4 & cr4::PCIDE) != 0 && (value & cr3::NO_FLUSH) != 0);
    return true;
}

std::uint64_t supported_cr4(const Processor& p) {
    const CpuidRegisters leaf1 = p.cpuid.lookup(cpuid::kFeatures, 0);
    const CpuidRegisters leaf7 = p.cpuid.lookup(cpuid::kExtendedFeatures, 0);
    std::uint64_t bits =
        cr4::TSD | cr4::DE | cr4::PSE | cr4::PAE | cr4::MCE | cr4::PGE | cr4::PCE | cr4::OSFXSR | cr4::OSXMMEXCPT;
    if ((leaf1.edx & cpuid::leaf1_edx::VME) != 0) bits |= cr4::VME | cr4::PVI;
    if ((leaf1.ecx & cpuid::leaf1_ecx::PCID) != 0) bits |= cr4::PCIDE;
    if ((leaf1.ecx & cpuid::leaf1_ecx::XSAVE) != 0) bits |= cr4::OSXSAVE;
    if ((leaf7.ebx & cpuid::leaf7_ebx::FSGSBASE) != 0) bits |= cr4::FSGSBASE;
    if ((leaf7.ebx & cpuid::leaf7_ebx::SMEP) != 0) bits |= cr4::SMEP;
    if ((leaf7.ebx & cpuid::leaf7_ebx::SMAP) != 0) bits |= cr4::SMAP;
    if ((leaf7.ecx & cpuid::leaf7_ecx::UMIP) != 0) bits |= cr4::UMIP;
    return bits;
}

bool write_cr4(Processor& p, std::uint64_t value) {
    if ((value & ~supported_cr4(p)) != 0) return refuse(p);
    const std::uint64_t changed = value ^ p.cr4;
    if (p.long_mode && (value & cr4::PAE) == 0) return refuse(p);
    const bool starts_pcid = (changed & value & cr4::PCIDE) != 0;
    if (starts_pcid && (!p.long_mode || (p.cr3 & cr3::PCID) != 0)) return refuse(p);
    p.cr4 = value;
    update_mode(p);
    if ((changed & kCr4Translating) != 0) flush_tlb(p);
    return true;
}

std::uint64_t supported_efer(const Processor& p) {
    const std::uint32_t features = p.cpuid.lookup(cpuid::kExtendedProcessor, 0).edx;
    std::uint64_t bits = 0;
    if ((features & cpuid::extended1_edx::SYSCALL) != 0) bits |= efer::SCE;
    if ((features & cpuid::extended1_edx::LM) != 0) bits |= efer::LME | efer::LMA;
    if ((features & cpuid::extended1_edx::NX) != 0) bits |= efer::NXE;
    if ((features & cpuid::extended1_edx::FFXSR) != 0) bits |= efer::FFXSR;
    return bits;
}

bool write_efer(Processor& p, std::uint64_t value) {
    if ((value & ~supported_efer(p)) != 0) return refuse(p);
    value = (value & ~efer::LMA) | (p.msr.efer & efer::LMA);
    const std::uint64_t changed = value ^ p.msr.efer;
    if ((changed & efer::LME) != 0 && (p.cr0 & cr0::PG) != 0) return refuse(p);
    p.msr.efer = value;
    update_mode(p);
    if ((changed & efer::NXE) != 0) flush_tlb(p);
    return true;
}

bool is_valid_xcr0(const Processor& p, std::uint64_t value) {
    const CpuidRegisters leaf = p.cpuid.lookup(cpuid::kXsave, 0);
    const std::uint64_t supported = leaf.eax | std::uint64_t{leaf.edx} << 32;
    if ((value & cpuid::xcr0::X87) == 0 || (value & ~(supported | cpuid::xcr0::X87)) != 0) return false;
    const std::uint64_t avx512 = value & cpuid::xcr0::AVX512;
    if (avx512 != 0 && (avx512 != cpuid::xcr0::AVX512 || (value & cpuid::xcr0::AVX) == 0)) return false;
    return (value & cpuid::xcr0::AVX) == 0 || (value & cpuid::xcr0::SSE) != 0;
}

} // namespace touka::cpu::interpreter
