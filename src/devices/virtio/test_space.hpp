#pragma once

#include <algorithm>
#include <functional>
#include <map>

#include "memory/dma_space.hpp"
#include "memory/guest_memory.hpp"

namespace touka::devices::virtio::test {

/// A space whose pages lie where the test says, as behind an IOMMU. One thread.
class ScatteredSpace final : public memory::DmaSpace {
public:
    explicit ScatteredSpace(memory::GuestMemory& ram) : ram_(ram) {}

    void map(std::uint64_t page, std::uint64_t guest) { pages_[page] = guest; }
    /// Moves a page, or takes it away with `guest` 0. @param done as of DmaSpace::revoked.
    void change(std::uint64_t page, std::uint64_t guest, std::function<void()> done) {
        pages_.erase(page);
        if (guest != 0) pages_[page] = guest;
        revoked(std::move(done));
    }

    [[nodiscard]] std::expected<std::span<std::byte>, memory::DmaFault>
    translate(memory::Iova address, std::uint64_t length_bytes, memory::DmaAccess access) override {
        const std::uint64_t within = address.value % spec::kPageSize;
        const auto found = pages_.find(address.value - within);
        if (found == pages_.end()) return std::unexpected(memory::DmaFault{address, access});
        const std::uint64_t bytes = std::min(length_bytes, spec::kPageSize - within);
        return ram_.span(memory::GuestAddress{found->second + within}, bytes);
    }
    void written(std::span<const std::byte> host_memory) override {
        const auto offset = static_cast<std::uint64_t>(host_memory.data() - ram_.base());
        ram_.written(memory::GuestAddress{offset}, host_memory.size());
    }

private:
    memory::GuestMemory& ram_;
    std::map<std::uint64_t, std::uint64_t> pages_;
};

} // namespace touka::devices::virtio::test
