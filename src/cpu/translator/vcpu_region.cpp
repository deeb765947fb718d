#include "cpu/translator/vcpu_region.hpp"

#include <sys/mman.h>

#include <new>

#include "spec/address.hpp"

namespace touka::cpu::translator {
namespace {

/// Signal frames with AVX-512 state take some 4 KiB; page walks and the like are C++.
constexpr std::size_t kStackBytes = 256 << 10;
constexpr std::size_t kBelowBytes = spec::kPageSize + kStackBytes;
constexpr std::size_t kBytes = kBelowBytes + sizeof(VcpuMemory);

void destroy(VcpuMemory* vcpu) {
    vcpu->~VcpuMemory();
    ::munmap(reinterpret_cast<std::byte*>(vcpu) - kBelowBytes, kBytes);
}

} // namespace

std::unique_ptr<VcpuMemory, void (*)(VcpuMemory*)> make_vcpu_memory(memory::GuestMemory& memory, CpuBus& bus,
                                                                    InterruptPort& interrupts, CpuidTable cpuid) {
    static_assert(kBelowBytes % alignof(VcpuMemory) == 0);
    void* mapped = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return {nullptr, &destroy};
    auto* start = static_cast<std::byte*>(mapped);
    ::mprotect(start, spec::kPageSize, PROT_NONE);
    return {new (start + kBelowBytes) VcpuMemory(memory, bus, interrupts, std::move(cpuid)), &destroy};
}

} // namespace touka::cpu::translator
