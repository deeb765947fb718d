// How the kernel's KVM interface is called: arguments of variable length, and errors as text.
// (Linux Documentation/virt/kvm/api.rst, 6.1)
#pragma once

#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>

#include "cpu/cpuid.hpp"
#include "cpu/vcpu.hpp"

namespace touka::cpu::kvm {

/// Why something of this engine does not work, with a sentence for the user.
struct KvmFailure {
    CpuError error = CpuError::kHostFailure;
    std::string text;
};

/// "KVM_CREATE_VM: Cannot allocate memory", from errno.
[[nodiscard]] KvmFailure system_failure(std::string_view call);

// In C++ the kernel headers' flexible arrays give these structures one word more than in C, and the numbers of their
// calls, which contain the size, come out wrong. So the sizes are written down here.
inline constexpr unsigned long kGetMsrIndexList = _IOC(_IOC_READ | _IOC_WRITE, KVMIO, 0x02, 4),
                               kGetSupportedCpuid = _IOC(_IOC_READ | _IOC_WRITE, KVMIO, 0x05, 8),
                               kSetGsiRouting = _IOC(_IOC_WRITE, KVMIO, 0x6a, 8),
                               kGetMsrs = _IOC(_IOC_READ | _IOC_WRITE, KVMIO, 0x88, 8),
                               kSetMsrs = _IOC(_IOC_WRITE, KVMIO, 0x89, 8),
                               kSetCpuid2 = _IOC(_IOC_WRITE, KVMIO, 0x90, 8),
                               kGetCpuid2 = _IOC(_IOC_READ | _IOC_WRITE, KVMIO, 0x91, 8),
                               kGetXsave = _IOC(_IOC_READ, KVMIO, 0xa4, 4096),
                               kSetXsave = _IOC(_IOC_WRITE, KVMIO, 0xa5, 4096),
                               kGetXsave2 = _IOC(_IOC_READ, KVMIO, 0xcf, 4096);
static_assert(kSetCpuid2 == 0x4008'AE90 && kGetSupportedCpuid == 0xC008'AE05 && kGetMsrIndexList == 0xC004'AE02);

/// A header of two words, the first of them the count, and the entries behind it.
template <class Entry>
class KvmList {
public:
    explicit KvmList(std::size_t count) : count_(count), bytes_(new std::byte[kHeaderBytes + count * sizeof(Entry)]{}) {
        resize(count);
    }
    /// Says a smaller count; entries stay.
    void resize(std::size_t count) {
        *std::launder(reinterpret_cast<std::uint32_t*>(bytes_.get())) = static_cast<std::uint32_t>(count);
    }
    /// The count as the kernel left it.
    [[nodiscard]] std::size_t size() const {
        return *std::launder(reinterpret_cast<const std::uint32_t*>(bytes_.get()));
    }
    /// All entries there is room for.
    [[nodiscard]] std::span<Entry> entries() const {
        return {std::launder(reinterpret_cast<Entry*>(bytes_.get() + kHeaderBytes)), count_};
    }
    [[nodiscard]] void* argument() const { return bytes_.get(); }

private:
    static constexpr std::size_t kHeaderBytes = 8;
    static_assert(alignof(Entry) <= kHeaderBytes);
    std::size_t count_;
    std::unique_ptr<std::byte[]> bytes_;
};

/// CPUID as the kernel writes it down.
[[nodiscard]] KvmList<kvm_cpuid_entry2> to_kvm(const CpuidTable& table);
[[nodiscard]] CpuidTable from_kvm(const KvmList<kvm_cpuid_entry2>& list);

} // namespace touka::cpu::kvm
