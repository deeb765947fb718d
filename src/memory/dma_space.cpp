#include "memory/dma_space.hpp"

#include <algorithm>
#include <cstring>

#include "memory/guest_memory.hpp"

namespace touka::memory {

std::expected<void, DmaFault> DmaSpace::read(Iova address, std::span<std::byte> to) {
    while (!to.empty()) {
        const auto from = translate(address, to.size(), DmaAccess::kRead);
        if (!from) return std::unexpected(from.error());
        std::memcpy(to.data(), from->data(), from->size());
        address = address + from->size();
        to = to.subspan(from->size());
    }
    return {};
}

std::expected<void, DmaFault> DmaSpace::write(Iova address, std::span<const std::byte> from) {
    while (!from.empty()) {
        const auto to = translate(address, from.size(), DmaAccess::kWrite);
        if (!to) return std::unexpected(to.error());
        std::memcpy(to->data(), from.data(), to->size());
        written(*to);
        address = address + to->size();
        from = from.subspan(to->size());
    }
    return {};
}

std::expected<std::span<std::byte>, DmaFault> IdentityDmaSpace::translate(Iova address, std::uint64_t length_bytes,
                                                                          DmaAccess access) {
    for (const RamRange& range : memory_.ranges()) {
        const GuestAddress guest{address.value};
        if (guest < range.start || guest >= range.end()) continue;
        return memory_.span(guest, std::min(length_bytes, range.end() - guest));
    }
    return std::unexpected(DmaFault{address, access});
}

void IdentityDmaSpace::written(std::span<const std::byte> host_memory) {
    const auto offset = static_cast<std::uint64_t>(host_memory.data() - memory_.base());
    memory_.written(GuestAddress{offset}, host_memory.size());
}

} // namespace touka::memory
