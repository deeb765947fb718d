#include "cpu/kvm/kvm_memory.hpp"

#include <algorithm>
#include <bit>

namespace touka::cpu::kvm {

using spec::kPageSize;

bool KvmMemory::set_device_slot(std::uint32_t slot, const memory::DeviceMemory& memory, std::uint64_t bytes) {
    kvm_userspace_memory_region region{};
    region.slot = slot;
    region.flags = memory.writable ? 0 : KVM_MEM_READONLY;
    region.guest_phys_addr = memory.start.value;
    region.memory_size = bytes;
    region.userspace_addr = reinterpret_cast<std::uintptr_t>(memory.host.data());
    return ::ioctl(vm_fd_, KVM_SET_USER_MEMORY_REGION, &region) == 0;
}

bool KvmMemory::add_device_memory(const memory::DeviceMemory& memory) {
    auto slot = static_cast<std::uint32_t>(memory_.ranges().size());
    const auto is_taken = [&] {
        return std::ranges::any_of(device_slots_, [&](const auto& each) { return each.second == slot; });
    };
    while (is_taken()) ++slot;
    if (slot >= slot_limit_ || !set_device_slot(slot, memory, memory.host.size())) return false;
    device_slots_.emplace(memory.start.value, slot);
    return true;
}

void KvmMemory::remove_device_memory(const memory::DeviceMemory& memory) {
    const auto found = device_slots_.find(memory.start.value);
    if (found == device_slots_.end()) return;
    (void)set_device_slot(found->second, memory, 0); // deleting one that is there does not fail
    device_slots_.erase(found);
}

std::expected<void, KvmFailure> KvmMemory::update_slots() {
    const bool logging = memory_.dirty_log().enabled();
    std::uint32_t slot = 0;
    for (const memory::RamRange& range : memory_.ranges()) {
        kvm_userspace_memory_region region{};
        region.slot = slot++;
        region.flags = logging ? KVM_MEM_LOG_DIRTY_PAGES : 0;
        region.guest_phys_addr = range.start.value;
        region.memory_size = range.length_bytes;
        region.userspace_addr = reinterpret_cast<std::uintptr_t>(memory_.base()) + range.start.value;
        if (::ioctl(vm_fd_, KVM_SET_USER_MEMORY_REGION, &region) < 0) {
            return std::unexpected(system_failure("KVM_SET_USER_MEMORY_REGION"));
        }
    }
    logging_ = logging;
    return {};
}

std::expected<void, KvmFailure> KvmMemory::collect_dirty() {
    if (!logging_) return {};
    std::uint32_t slot = 0;
    for (const memory::RamRange& range : memory_.ranges()) {
        const std::uint64_t page_count = range.length_bytes / kPageSize;
        const std::uint64_t first_page = range.start.value / kPageSize;
        bitmap_.assign((page_count + 63) / 64, 0);
        kvm_dirty_log log{};
        log.slot = slot++;
        log.dirty_bitmap = bitmap_.data();
        if (::ioctl(vm_fd_, KVM_GET_DIRTY_LOG, &log) < 0) return std::unexpected(system_failure("KVM_GET_DIRTY_LOG"));
        for (std::size_t i = 0; i < bitmap_.size(); ++i) {
            for (std::uint64_t word = bitmap_[i]; word != 0; word &= word - 1) {
                const auto bit = static_cast<std::uint64_t>(std::countr_zero(word));
                memory_.dirty_log().mark(first_page + i * 64 + bit);
            }
        }
    }
    return {};
}

} // namespace touka::cpu::kvm
