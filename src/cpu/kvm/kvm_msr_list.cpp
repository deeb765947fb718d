#include "cpu/kvm/kvm_msr_list.hpp"

#include <algorithm>
#include <array>

#include "cpu/kvm/kvm_call.hpp"
#include "spec/x86/msr.hpp"

namespace touka::cpu::kvm {

namespace {

using namespace spec::x86::msr;

constexpr std::uint32_t kTsxCtrl = 0x122, kMiscFeatureEnables = 0x140, kXfd = 0x1C4, kXfdErr = 0x1C5,
                        kUmwaitControl = 0xE1, kHwcr = 0xC001'0015;

/// In the order in which they are set: the TSC before what counts from it.
constexpr std::array kArchitectural = {
    kTsc,        kTscAdjust,   kSpecCtrl,    kUmwaitControl, kTsxCtrl,      kMiscFeatureEnables,
    kSysenterCs, kSysenterEsp, kSysenterEip, kMcgStatus,     kMcgCtl,       kMiscEnable,
    kXfd,        kXfdErr,      kDebugCtl,    kPat,           kMtrrDefType,  kXss,
    kStar,       kLstar,       kCstar,       kSyscallMask,   kKernelGsBase, kTscAux,
    kHwcr,
};
constexpr std::uint32_t kMtrrVariableCount = 16;
constexpr std::array<std::uint32_t, 11> kMtrrFixed = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26A,
                                                      0x26B, 0x26C, 0x26D, 0x26E, 0x26F};
/// KVM's own. (Linux Documentation/virt/kvm/x86/msr.rst) The old clock's numbers are aliases of the new ones.
constexpr std::array<std::uint32_t, 4> kParavirtual = {0x4B56'4D00, 0x4B56'4D01, 0x4B56'4D03, 0x4B56'4D04};

bool transfer(int fd, unsigned long call, MsrValue& value) {
    const KvmList<kvm_msr_entry> list(1);
    list.entries()[0].index = value.index;
    list.entries()[0].data = value.value;
    if (::ioctl(fd, call, list.argument()) != 1) return false;
    value.value = list.entries()[0].data;
    return true;
}

} // namespace

KvmMsrList::KvmMsrList(int vcpu_fd, bool paravirtual) : vcpu_fd_(vcpu_fd) {
    std::vector<std::uint32_t> candidates(kArchitectural.begin(), kArchitectural.end());
    for (std::uint32_t i = 0; i < kMtrrVariableCount; ++i) candidates.push_back(kMtrrPhysBase0 + i);
    candidates.insert(candidates.end(), kMtrrFixed.begin(), kMtrrFixed.end());
    if (paravirtual) candidates.insert(candidates.end(), kParavirtual.begin(), kParavirtual.end());
    // Readable is not enough: some kernels answer reads of registers of the other vendor with 0.
    std::ranges::copy_if(candidates, std::back_inserter(indices_), [&](std::uint32_t index) {
        MsrValue value{index, 0};
        return transfer(vcpu_fd_, kGetMsrs, value) && (index == kTsc || transfer(vcpu_fd_, kSetMsrs, value));
    });
}

bool KvmMsrList::read(std::vector<MsrValue>& values) const {
    const KvmList<kvm_msr_entry> list(indices_.size());
    for (std::size_t i = 0; i < indices_.size(); ++i) list.entries()[i].index = indices_[i];
    if (::ioctl(vcpu_fd_, kGetMsrs, list.argument()) != static_cast<int>(indices_.size())) return false;
    for (const kvm_msr_entry& entry : list.entries()) values.push_back({entry.index, entry.data});
    return true;
}

bool KvmMsrList::write(const std::vector<MsrValue>& values) const {
    std::vector<kvm_msr_entry> entries;
    for (const std::uint32_t index : indices_) {
        const auto value = std::ranges::find(values, index, &MsrValue::index);
        if (value != values.end()) entries.push_back({.index = index, .reserved = 0, .data = value->value});
    }
    const auto is_lost = [&](const MsrValue& v) {
        return v.value != 0 && v.index != kEfer && std::ranges::find(indices_, v.index) == indices_.end();
    };
    if (std::ranges::any_of(values, is_lost)) return false;
    const KvmList<kvm_msr_entry> list(entries.size());
    std::ranges::copy(entries, list.entries().begin());
    return ::ioctl(vcpu_fd_, kSetMsrs, list.argument()) == static_cast<int>(entries.size());
}

} // namespace touka::cpu::kvm
