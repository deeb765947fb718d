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
};
constexpr std::uint32_t kMtrrVariableCount = 16;
constexpr std::array<std::uint32_t, 11> kMtrrFixed = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26A,
                                                      0x26B, 0x26C, 0x26D, 0x26E, 0x26F};
/// Registers that a state from elsewhere may contain and that need not be set here: they travel with other parts of
/// the state, or (HWCR) say only how fast the TSC counts.
constexpr std::array kElsewhere = {kEfer, kApicBase, kTscDeadline, kFsBase, kGsBase, kHwcr};
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
    std::ranges::copy_if(candidates, std::back_inserter(indices_), [&](std::uint32_t index) {
        MsrValue value{index, 0};
        return transfer(vcpu_fd_, kGetMsrs, value);
    });
}

bool KvmMsrList::read(std::vector<MsrValue>& values) const {
    const KvmList<kvm_msr_entry> list(indices_.size());
    for (std::size_t i = 0; i < indices_.size(); ++i) list.entries()[i].index = indices_[i];
    if (::ioctl(vcpu_fd_, kGetMsrs, list.argument()) != static_cast<int>(indices_.size())) return false;
    for (const kvm_msr_entry& entry : list.entries()) values.push_back({entry.index, entry.data});
    return true;
}

std::optional<std::uint32_t> KvmMsrList::write(const std::vector<MsrValue>& values) const {
    std::vector<MsrValue> present;
    if (!read(present)) return indices_.front();
    for (const MsrValue& now : present) {
        const auto wanted = std::ranges::find(values, now.index, &MsrValue::index);
        if (wanted == values.end()) continue;
        // Setting what is there already would only fill the kernel's log, where KVM does not know the register.
        if (wanted->value == now.value && now.index != kTsc) continue;
        MsrValue value = *wanted;
        if (!transfer(vcpu_fd_, kSetMsrs, value)) return value.index;
    }
    const auto is_lost = [&](const MsrValue& v) {
        return v.value != 0 && std::ranges::find(kElsewhere, v.index) == kElsewhere.end() &&
               std::ranges::find(indices_, v.index) == indices_.end();
    };
    const auto lost = std::ranges::find_if(values, is_lost);
    return lost == values.end() ? std::nullopt : std::optional(lost->index);
}

} // namespace touka::cpu::kvm
