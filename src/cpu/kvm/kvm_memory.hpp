#pragma once

#include <expected>
#include <vector>

#include "cpu/kvm/kvm_call.hpp"
#include "memory/guest_memory.hpp"

namespace touka::cpu::kvm {

/// The guest's RAM as the kernel knows it: one slot for each range, and the kernel's log of written pages.
/// @thread the machine's control thread.
class KvmMemory {
public:
    /// @param vm_fd outlives this.
    KvmMemory(int vm_fd, memory::GuestMemory& memory) : vm_fd_(vm_fd), memory_(memory) {}

    /// Registers all ranges, with logging if GuestMemory's dirty log is on. Again after the log was switched.
    [[nodiscard]] std::expected<void, KvmFailure> update_slots();
    /// Moves the kernel's log into GuestMemory's and clears it. Nothing when logging is off. Pages that the guest
    /// touched for the first time, if only reading, may be among them.
    [[nodiscard]] std::expected<void, KvmFailure> collect_dirty();

private:
    int vm_fd_;
    memory::GuestMemory& memory_;
    bool logging_ = false;
    std::vector<std::uint64_t> bitmap_;
};

} // namespace touka::cpu::kvm
