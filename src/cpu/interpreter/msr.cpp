#include "cpu/interpreter/msr.hpp"

#include <x86intrin.h>

#include <algorithm>
#include <array>

#include "cpu/interpreter/control_registers.hpp"
#include "cpu/interpreter/kvm_clock.hpp"
#include "cpu/interpreter/mode.hpp"
#include "cpu/interpreter/x87_state.hpp"
#include "spec/x86/cpuid.hpp"
#include "spec/x86/msr.hpp"
#include "spec/x86/page_table.hpp"

namespace touka::cpu::interpreter {

using namespace spec::x86;
namespace kvm = spec::kvm;
using Vendor = ProcessorModel::Vendor;

namespace {

constexpr std::uint32_t kVariableMtrrCount = 8;
/// VCNT 8, FIX, WC. (SDM vol. 3 §12.11.1)
constexpr std::uint64_t kMtrrCapabilities = 0x508;
constexpr std::uint64_t kMtrrDefTypeBits = 0xCFF, kMtrrBaseLow = 0xFF, kMtrrMaskLow = 0x800;
/// Linux asks on AMD processors whether the TSC counts at the P0 frequency: TscFreqSel, a read-only one.
constexpr std::uint64_t kHwcrTscFreqSel = 1u << 24;
constexpr std::uint64_t kDebugCtlBits = 0x3F;

/// The eleven fixed-range MTRRs in ascending order.
constexpr std::array<std::uint32_t, 11> kFixedMtrrs{0x250, 0x258, 0x259, 0x268, 0x269, 0x26A,
                                                    0x26B, 0x26C, 0x26D, 0x26E, 0x26F};

[[nodiscard]] std::uint64_t host_tsc() { return __rdtsc(); }

[[nodiscard]] constexpr bool is_apic(std::uint32_t index) {
    return index == msr::kApicBase || index == msr::kTscDeadline ||
           (index >= msr::kX2apicFirst && index <= msr::kX2apicLast);
}

/// UC, WC, WT, WP, WB; UC- only in the PAT. (SDM vol. 3 table 12-8, §12.12.2)
[[nodiscard]] constexpr bool is_memory_type(std::uint8_t type, bool in_pat) {
    return type == 0 || type == 1 || (type >= 4 && type <= 6) || (in_pat && type == 7);
}
[[nodiscard]] constexpr bool are_memory_types(std::uint64_t value, bool in_pat) {
    for (unsigned n = 0; n < 8; ++n, value >>= 8)
        if (!is_memory_type(static_cast<std::uint8_t>(value), in_pat)) return false;
    return true;
}

[[nodiscard]] std::uint64_t address_bits(const Processor& p) {
    return page_entry::kAddress & ~p.model.reserved_address_bits;
}

/// Is the register with speculation controls there? Only if CPUID says so, on either vendor's leaf.
[[nodiscard]] bool has_spec_ctrl(const Processor& p) {
    using namespace cpuid::leaf7_edx;
    constexpr std::uint32_t kAmdBits = 1u << 14 | 1u << 15 | 1u << 24; // IBRS, STIBP, SSBD
    return (p.cpuid.lookup(cpuid::kExtendedFeatures, 0).edx & (SPEC_CTRL | STIBP | SSBD)) != 0 ||
           (p.cpuid.lookup(cpuid::kAddressSizes, 0).ebx & kAmdBits) != 0;
}
[[nodiscard]] bool has_pred_cmd(const Processor& p) {
    constexpr std::uint32_t kAmdIbpb = 1u << 12;
    return (p.cpuid.lookup(cpuid::kExtendedFeatures, 0).edx & cpuid::leaf7_edx::SPEC_CTRL) != 0 ||
           (p.cpuid.lookup(cpuid::kAddressSizes, 0).ebx & kAmdIbpb) != 0;
}
[[nodiscard]] bool has_tsc_adjust(const Processor& p) {
    return (p.cpuid.lookup(cpuid::kExtendedFeatures, 0).ebx & cpuid::leaf7_ebx::TSC_ADJUST) != 0;
}

/// What a plain register stores: its place, the bits that may be set, and whether it is an address.
struct Stored {
    std::uint64_t* place = nullptr;
    std::uint64_t allowed = ~std::uint64_t{0};
    bool canonical = false;
};

/// Registers that are storage for Intel's or AMD's kernels and do nothing here.
[[nodiscard]] Stored find_vendor_specific(Processor& p, std::uint32_t index) {
    const bool intel = p.model.vendor == Vendor::kIntel;
    switch (index) {
        case msr::kMiscEnable: return intel ? Stored{.place = &p.msr.misc_enable} : Stored{};
        case msr::kAmdSyscfg: return intel ? Stored{} : Stored{.place = &p.msr.amd_syscfg};
        case msr::kAmdHwcr: return intel ? Stored{} : Stored{.place = &p.msr.amd_hwcr};
        case msr::kAmdNbCfg: return intel ? Stored{} : Stored{.place = &p.msr.amd_nb_cfg};
        default: return {};
    }
}

[[nodiscard]] Stored find_mtrr(Processor& p, std::uint32_t index) {
    if (index >= msr::kMtrrPhysBase0 && index < msr::kMtrrPhysBase0 + 2 * kVariableMtrrCount) {
        const std::size_t n = index - msr::kMtrrPhysBase0;
        return {.place = &p.msr.mtrr_variable[n],
                .allowed = address_bits(p) | (n % 2 == 0 ? kMtrrBaseLow : kMtrrMaskLow)};
    }
    const auto fixed = std::ranges::find(kFixedMtrrs, index);
    if (fixed != kFixedMtrrs.end())
        return {.place = &p.msr.mtrr_fixed[static_cast<std::size_t>(fixed - kFixedMtrrs.begin())]};
    if (index == msr::kMtrrDefType) return {.place = &p.msr.mtrr_def_type, .allowed = kMtrrDefTypeBits};
    return {};
}

[[nodiscard]] Stored find_stored(Processor& p, std::uint32_t index) {
    switch (index) {
        case msr::kStar: return {.place = &p.msr.star};
        case msr::kLstar: return {.place = &p.msr.lstar, .canonical = true};
        case msr::kCstar: return {.place = &p.msr.cstar, .canonical = true};
        case msr::kSyscallMask: return {.place = &p.msr.syscall_mask, .allowed = 0xFFFF'FFFF};
        case msr::kFsBase: return {.place = &p.segment(SegmentName::kFs).base, .canonical = true};
        case msr::kGsBase: return {.place = &p.segment(SegmentName::kGs).base, .canonical = true};
        case msr::kKernelGsBase: return {.place = &p.msr.kernel_gs_base, .canonical = true};
        case msr::kTscAux: return {.place = &p.msr.tsc_aux, .allowed = 0xFFFF'FFFF};
        case msr::kSysenterCs: return {.place = &p.msr.sysenter_cs, .allowed = 0xFFFF'FFFF};
        case msr::kSysenterEsp: return {.place = &p.msr.sysenter_esp, .canonical = true};
        case msr::kSysenterEip: return {.place = &p.msr.sysenter_eip, .canonical = true};
        case msr::kDebugCtl: return {.place = &p.msr.debug_ctl, .allowed = kDebugCtlBits};
        case msr::kMcgStatus: return {.place = &p.msr.mcg_status, .allowed = 7};
        case msr::kPat: return {.place = &p.msr.pat};
        case msr::kSpecCtrl: return has_spec_ctrl(p) ? Stored{.place = &p.msr.spec_ctrl, .allowed = 0x87} : Stored{};
        default: break;
    }
    const Stored mtrr = find_mtrr(p, index);
    return mtrr.place != nullptr ? mtrr : find_vendor_specific(p, index);
}

/// Checks beyond single bits.
[[nodiscard]] bool has_valid_types(std::uint32_t index, std::uint64_t value) {
    if (index == msr::kPat) return are_memory_types(value, true);
    if (std::ranges::find(kFixedMtrrs, index) != kFixedMtrrs.end()) return are_memory_types(value, false);
    const bool is_base = index >= msr::kMtrrPhysBase0 && index < msr::kMtrrPhysBase0 + 2 * kVariableMtrrCount &&
                         (index - msr::kMtrrPhysBase0) % 2 == 0;
    if (is_base || index == msr::kMtrrDefType) return is_memory_type(static_cast<std::uint8_t>(value), false);
    return true;
}

[[nodiscard]] bool unknown(Processor& p, std::uint32_t index) {
    p.unknown_msrs.note(index);
    return p.raise(Exception::kGeneralProtection);
}

void set_guest_tsc(Processor& p, std::uint64_t value) {
    const std::uint64_t offset = value - host_tsc();
    p.msr.tsc_adjust += offset - p.msr.tsc_offset;
    p.msr.tsc_offset = offset;
}

[[nodiscard]] bool write_apic(Processor& p, std::uint32_t index, std::uint64_t value) {
    spill_x87(p.regs);
    return p.interrupts.write_msr(index, value) || p.raise(Exception::kGeneralProtection);
}
[[nodiscard]] bool read_apic(Processor& p, std::uint32_t index, std::uint64_t& value) {
    spill_x87(p.regs);
    const auto answer = p.interrupts.read_msr(index);
    if (!answer) return p.raise(Exception::kGeneralProtection);
    value = *answer;
    return true;
}

/// Registers whose value is not stored as such. @return false when it is none of them.
[[nodiscard]] bool read_computed(const Processor& p, std::uint32_t index, std::uint64_t& value) {
    const bool intel = p.model.vendor == Vendor::kIntel;
    constexpr std::uint64_t kFeatureControlLocked = 1;
    switch (index) {
        case msr::kTsc: value = guest_tsc(p); return true;
        case msr::kTscAdjust: value = p.msr.tsc_adjust; return has_tsc_adjust(p);
        case msr::kEfer: value = p.msr.efer; return true;
        case kvm::msr::kSystemTime:
        case kvm::msr::kSystemTimeOld: value = p.msr.kvm_system_time; return has_kvm_clock(p);
        case kvm::msr::kWallClock:
        case kvm::msr::kWallClockOld: value = p.msr.kvm_wall_clock; return has_kvm_clock(p);
        case msr::kMtrrCap: value = kMtrrCapabilities; return true;
        case msr::kMcgCap:
        case msr::kBiosSignId: value = 0; return true;
        case msr::kPlatformId: value = 0; return intel;
        case msr::kFeatureControl: value = kFeatureControlLocked; return intel;
        case msr::kAmdHwcr: value = p.msr.amd_hwcr | kHwcrTscFreqSel; return !intel;
        case msr::kAmdTopMem: value = memory::GuestMemory::kLowRamLimit; return !intel;
        case msr::kAmdTopMem2:
            value = std::max(p.memory.top().value, memory::GuestMemory::kHighRamStart);
            return !intel;
        default: return false;
    }
}

/// Writes that do more than store. @return nothing when the register is not one of them.
[[nodiscard]] std::optional<bool> write_acting(Processor& p, std::uint32_t index, std::uint64_t value) {
    switch (index) {
        case msr::kTsc: set_guest_tsc(p, value); return true;
        case msr::kTscAdjust:
            if (!has_tsc_adjust(p)) return std::nullopt;
            p.msr.tsc_offset += value - p.msr.tsc_adjust;
            p.msr.tsc_adjust = value;
            return true;
        case msr::kEfer: return write_efer(p, value);
        case kvm::msr::kSystemTime:
        case kvm::msr::kSystemTimeOld:
            if (!has_kvm_clock(p)) return std::nullopt;
            write_system_time(p, value);
            return true;
        case kvm::msr::kWallClock:
        case kvm::msr::kWallClockOld:
            if (!has_kvm_clock(p)) return std::nullopt;
            write_wall_clock(p, value);
            return true;
        case msr::kPredCmd:
            if (!has_pred_cmd(p)) return std::nullopt;
            return (value & ~std::uint64_t{1}) == 0 || p.raise(Exception::kGeneralProtection);
        case msr::kBiosSignId: return true; // asks for the microcode revision to be filled in: there is none
        default: return std::nullopt;
    }
}

/// What CpuState carries besides the MTRRs. FS and GS bases travel with their segments.
constexpr std::array kSavedMsrs{msr::kTsc,           msr::kTscAdjust,
                                msr::kSpecCtrl,      msr::kSysenterCs,
                                msr::kSysenterEsp,   msr::kSysenterEip,
                                msr::kMcgStatus,     msr::kMiscEnable,
                                msr::kDebugCtl,      msr::kPat,
                                msr::kMtrrDefType,   msr::kEfer,
                                msr::kStar,          msr::kLstar,
                                msr::kCstar,         msr::kSyscallMask,
                                msr::kKernelGsBase,  msr::kTscAux,
                                msr::kAmdSyscfg,     msr::kAmdHwcr,
                                msr::kAmdNbCfg,      kvm::msr::kSystemTime,
                                kvm::msr::kWallClock};

} // namespace

std::uint64_t guest_tsc(const Processor& p) { return host_tsc() + p.msr.tsc_offset; }

bool read_msr(Processor& p, std::uint32_t index, std::uint64_t& value) {
    if (is_apic(index)) return read_apic(p, index, value);
    if (read_computed(p, index, value)) return true;
    const Stored stored = find_stored(p, index);
    if (stored.place == nullptr) return unknown(p, index);
    value = *stored.place;
    return true;
}

bool write_msr(Processor& p, std::uint32_t index, std::uint64_t value) {
    if (is_apic(index)) return write_apic(p, index, value);
    if (const auto acted = write_acting(p, index, value)) return *acted;
    const Stored stored = find_stored(p, index);
    if (stored.place == nullptr) return unknown(p, index);
    const bool valid =
        (value & ~stored.allowed) == 0 && (!stored.canonical || is_canonical(value)) && has_valid_types(index, value);
    if (!valid) return p.raise(Exception::kGeneralProtection);
    *stored.place = value;
    return true;
}

std::vector<MsrValue> save_msrs(Processor& p) {
    std::vector<MsrValue> saved;
    const auto save = [&](std::uint32_t index) {
        std::uint64_t value = 0;
        if (read_computed(p, index, value))
            saved.push_back({index, value});
        else if (const Stored stored = find_stored(p, index); stored.place != nullptr)
            saved.push_back({index, *stored.place});
    };
    for (const std::uint32_t index : kSavedMsrs) save(index);
    for (std::uint32_t n = 0; n < 2 * kVariableMtrrCount; ++n) save(msr::kMtrrPhysBase0 + n);
    for (const std::uint32_t index : kFixedMtrrs) save(index);
    std::ranges::sort(saved, {}, &MsrValue::index);
    return saved;
}

bool load_msrs(Processor& p, const std::vector<MsrValue>& msrs) {
    bool valid = true;
    for (const MsrValue& saved : msrs) {
        if (saved.index == msr::kEfer) {
            valid &= (saved.value & ~supported_efer(p)) == 0;
            p.msr.efer = saved.value;
        } else if (saved.index == msr::kTsc) {
            p.msr.tsc_offset = saved.value - host_tsc();
        } else if (saved.index == msr::kTscAdjust) {
            p.msr.tsc_adjust = saved.value; // the TSC itself carries it already
        } else if (saved.index == kvm::msr::kSystemTime) {
            p.msr.kvm_system_time = saved.value; // what lies there goes on with the TSC and is not written anew
        } else if (saved.index == kvm::msr::kWallClock) {
            p.msr.kvm_wall_clock = saved.value;
        } else if (!is_apic(saved.index) && find_stored(p, saved.index).place != nullptr) {
            valid &= write_msr(p, saved.index, saved.value);
        }
    }
    p.fault.reset();
    return valid;
}

} // namespace touka::cpu::interpreter
