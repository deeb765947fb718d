// RAM mapped once more, so that the host's MMU tells which stores of translated code need a second look.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "memory/ram_range.hpp"

namespace touka::memory {

/// A mapping of the guest's RAM, laid out as GuestMemory's own, of which single pages can be made read-only. A store
/// there is a SIGSEGV of the storing thread.
/// @thread any; set_writable and set_all_writable under CodePages' lock.
class GuardedView {
public:
    GuardedView(int fd, std::span<const RamRange> ranges);
    ~GuardedView();
    GuardedView(const GuardedView&) = delete;
    GuardedView& operator=(const GuardedView&) = delete;

    /// Whether the host gave the address space.
    [[nodiscard]] bool is_mapped() const { return base_ != nullptr; }
    /// Host address of guest address 0.
    [[nodiscard]] std::byte* base() const { return base_; }

    /// A hint: these pages will be used soon.
    void map_now(GuestAddress start, std::uint64_t length_bytes) const;

    /// @return false when the kernel has no room for one mapping more (vm.max_map_count).
    [[nodiscard]] bool set_writable(std::uint64_t page, bool writable);
    void set_all_writable();

private:
    std::vector<RamRange> ranges_;
    std::uint64_t reserved_bytes_;
    std::byte* base_;
};

} // namespace touka::memory
