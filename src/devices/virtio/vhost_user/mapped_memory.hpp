// The memory of a guest in another process, as far as it was shared. (Vhost-user Protocol, "Memory access")
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <vector>

#include "memory/dma_space.hpp"
#include "runtime/shared_mapping.hpp"
#include "spec/virtio/vhost_user.hpp"

namespace touka::devices::virtio {

using runtime::SharedMapping;

/// Covers the shared regions and nothing else (rule T5): addresses of the space are guest addresses. On one reactor.
class MappedMemory final : public memory::DmaSpace {
public:
    /// @return false, and nothing changed, when the region cannot be mapped, overlaps another one, wraps around, or is
    /// one
    ///   too many.
    [[nodiscard]] bool add(const spec::virtio::VhostUserMemoryRegion& region, const runtime::UniqueFd& file);
    /// Its memory is mapped until nobody uses it any more. @return false when there is no such region.
    [[nodiscard]] bool remove(const spec::virtio::VhostUserMemoryRegion& region);
    void clear();
    [[nodiscard]] std::size_t region_count() const { return regions_.size(); }

    /// The guest address behind an address of the front-end's process, in which it names rings.
    [[nodiscard]] std::optional<memory::Iova> from_user_address(std::uint64_t user_address) const;

    /// From now on what is written is marked, one bit a page; an empty mapping ends that.
    void set_log(SharedMapping log) { log_ = std::move(log); }
    void enable_log(bool enabled) { log_enabled_ = enabled; }

    [[nodiscard]] std::expected<std::span<std::byte>, memory::DmaFault>
    translate(memory::Iova address, std::uint64_t length_bytes, memory::DmaAccess access) override;
    void written(std::span<const std::byte> host_memory) override;

private:
    struct Region {
        spec::virtio::VhostUserMemoryRegion place{};
        SharedMapping mapping;
    };
    void unmap_when_unused(std::vector<Region> regions);

    std::vector<Region> regions_;
    SharedMapping log_;
    bool log_enabled_ = false;
};

} // namespace touka::devices::virtio
