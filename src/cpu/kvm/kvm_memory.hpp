#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <vector>

#include "cpu/kvm/kvm_call.hpp"
#include "memory/device_memory.hpp"
#include "memory/guest_memory.hpp"

namespace touka::cpu::kvm {

/// The guest's RAM as the kernel knows it: one slot for each range, and the kernel's log of written pages. Behind
/// those, slots for devices' memory, which is not logged.
/// @thread the machine's control thread, but for devices' memory: any thread.
class KvmMemory final : public memory::DeviceMemoryListener {
public:
    /// @param vm_fd outlives this.  @param slot_limit how many the kernel has (KVM_CAP_NR_MEMSLOTS).
    KvmMemory(int vm_fd, memory::GuestMemory& memory, std::uint32_t slot_limit)
        : vm_fd_(vm_fd), memory_(memory), slot_limit_(slot_limit) {}
    KvmMemory(const KvmMemory&) = delete;
    KvmMemory& operator=(const KvmMemory&) = delete;

    /// Registers all ranges, with logging if GuestMemory's dirty log is on. Again after the log was switched.
    [[nodiscard]] std::expected<void, KvmFailure> update_slots();
    /// Moves the kernel's log into GuestMemory's and clears it. Nothing when logging is off. Pages that the guest
    /// touched for the first time, if only reading, may be among them.
    [[nodiscard]] std::expected<void, KvmFailure> collect_dirty();

    /// Not done where the kernel has no slot left, or keeps the address for itself. Pages of other processes' files and
    /// of the host's devices alike.
    [[nodiscard]] bool add_device_memory(const memory::DeviceMemory& memory) override;
    /// The kernel waits for processors that are within: it returns when none is.
    void remove_device_memory(const memory::DeviceMemory& memory) override;

private:
    [[nodiscard]] bool set_device_slot(std::uint32_t slot, const memory::DeviceMemory& memory, std::uint64_t bytes);

    int vm_fd_;
    memory::GuestMemory& memory_;
    std::uint32_t slot_limit_;
    bool logging_ = false;
    std::vector<std::uint64_t> bitmap_;
    std::map<std::uint64_t, std::uint32_t> device_slots_; // by guest address; under DeviceMemoryMap's lock
};

} // namespace touka::cpu::kvm
