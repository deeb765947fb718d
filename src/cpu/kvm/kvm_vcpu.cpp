#include "cpu/kvm/kvm_vcpu.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "cpu/kvm/kvm_exit_text.hpp"

namespace touka::cpu::kvm {

KvmRunMapping::KvmRunMapping(int vcpu_fd, std::size_t length_bytes) : length_bytes_(length_bytes) {
    void* mapped = ::mmap(nullptr, length_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd, 0);
    if (mapped != MAP_FAILED) run_ = static_cast<kvm_run*>(mapped);
}

KvmRunMapping::~KvmRunMapping() {
    if (run_ != nullptr) ::munmap(run_, length_bytes_);
}

KvmVcpu::KvmVcpu(KvmVcpuParts parts)
    : parts_(std::move(parts)), run_(*parts_.mapping->get()), kick_(run_), msrs_(parts_.fd.get(), parts_.paravirtual) {}

VcpuExit KvmVcpu::run() {
    const KvmKick::Running running(kick_);
    for (;;) {
        // A kick is looked for only after KVM_RUN: with immediate_exit set it finishes the last port or memory
        // access of the guest, without which the state is not that of an instruction boundary.
        if (::ioctl(parts_.fd.get(), KVM_RUN, 0) < 0) {
            if (errno == EINTR) {
                if (kick_.take()) return VcpuExit::kKicked;
                continue;
            }
            if (errno == EAGAIN) continue; // a start-up IPI has come: the next call enters the guest
            failure_ = system_failure("KVM_RUN").text;
            return VcpuExit::kFailed;
        }
        if (const auto exit = handle_exit()) return *exit;
    }
}

std::optional<VcpuExit> KvmVcpu::handle_exit() {
    switch (run_.exit_reason) {
        case KVM_EXIT_IO: handle_port(); return {};
        case KVM_EXIT_MMIO: handle_memory(); return {};
        case KVM_EXIT_INTR:
        case KVM_EXIT_IRQ_WINDOW_OPEN: return {};
        case KVM_EXIT_SHUTDOWN: return VcpuExit::kShutdown;
        case KVM_EXIT_SYSTEM_EVENT:
            if (run_.system_event.type == KVM_SYSTEM_EVENT_CRASH) return fail_with_registers();
            return VcpuExit::kShutdown;
        default: return fail_with_registers();
    }
}

void KvmVcpu::handle_port() {
    const auto port = run_.io.port;
    const unsigned width_bytes = run_.io.size;
    auto* data = std::bit_cast<std::byte*>(&run_) + run_.io.data_offset;
    // A string instruction brings several elements at once, all of the same port.
    for (std::uint32_t i = 0; i < run_.io.count; ++i, data += width_bytes) {
        std::uint32_t value = 0;
        if (run_.io.direction == KVM_EXIT_IO_OUT) {
            std::memcpy(&value, data, width_bytes);
            parts_.bus->write_port(port, width_bytes, value);
        } else {
            value = parts_.bus->read_port(port, width_bytes);
            std::memcpy(data, &value, width_bytes);
        }
    }
}

void KvmVcpu::handle_memory() {
    // One access of the guest, unless it crosses a page: then the kernel cuts it, and odd lengths are possible.
    std::uint32_t done = 0;
    const std::uint32_t length = std::min<std::uint32_t>(run_.mmio.len, sizeof run_.mmio.data);
    while (done < length) {
        const unsigned width_bytes = std::bit_floor(length - done);
        const spec::GuestAddress address{run_.mmio.phys_addr + done};
        std::uint64_t value = 0;
        if (run_.mmio.is_write != 0) {
            std::memcpy(&value, run_.mmio.data + done, width_bytes);
            parts_.bus->write_memory(address, width_bytes, value);
        } else {
            value = parts_.bus->read_memory(address, width_bytes);
            std::memcpy(run_.mmio.data + done, &value, width_bytes);
        }
        done += width_bytes;
    }
}

VcpuExit KvmVcpu::fail_with_registers() {
    constexpr std::uint64_t kLongestInstruction = 15;
    kvm_regs regs{};
    kvm_sregs sregs{};
    (void)::ioctl(parts_.fd.get(), KVM_GET_REGS, &regs);
    (void)::ioctl(parts_.fd.get(), KVM_GET_SREGS, &sregs);
    kvm_translation at_rip{};
    at_rip.linear_address = sregs.cs.base + regs.rip;
    std::span<std::byte> code;
    if (::ioctl(parts_.fd.get(), KVM_TRANSLATE, &at_rip) == 0 && at_rip.valid != 0) {
        const std::uint64_t in_page = spec::kPageSize - at_rip.physical_address % spec::kPageSize;
        code = parts_.memory->span(spec::GuestAddress{at_rip.physical_address}, std::min(kLongestInstruction, in_page));
    }
    failure_ = describe_exit(run_, regs, sregs, code);
    return VcpuExit::kFailed;
}

std::unexpected<CpuError> KvmVcpu::fail(std::string_view call) {
    const bool refused = errno == EINVAL;
    failure_ = system_failure(call).text;
    return std::unexpected(refused ? CpuError::kInvalidState : CpuError::kHostFailure);
}

CpuidTable KvmVcpu::accepted_cpuid() const {
    const KvmList<kvm_cpuid_entry2> list(256); // the kernel's own limit
    if (::ioctl(parts_.fd.get(), kGetCpuid2, list.argument()) < 0) return CpuidTable({});
    return from_kvm(list);
}

void KvmVcpu::inject_nmi() { (void)::ioctl(parts_.fd.get(), KVM_NMI, 0); }

void KvmVcpu::mark_paused() {
    // Refused when the guest has no kvmclock running: then there is nobody to tell.
    (void)::ioctl(parts_.fd.get(), KVM_KVMCLOCK_CTRL, 0);
}

} // namespace touka::cpu::kvm
