#include "devices/passthrough/vfio_user/region_access.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

namespace touka::devices::passthrough {

using namespace spec::vfio;

namespace {

constexpr unsigned kWidestConfigAccess = 4, kWidestBarAccess = 8;

bool within(const platform::PciFunction& function, std::uint32_t region, std::uint64_t offset, std::size_t count) {
    const std::uint64_t size = region_bytes(function, region);
    return offset <= size && count <= size - offset;
}

} // namespace

std::uint64_t region_bytes(const platform::PciFunction& function, std::uint32_t region) {
    if (region == VFIO_PCI_CONFIG_REGION_INDEX) return spec::pci::kConfigBytes;
    return region < function.bars().size() ? function.bars()[region].length_bytes : 0;
}

unsigned access_bytes(std::uint64_t offset, std::size_t left, unsigned widest) {
    const std::uint64_t aligned = offset == 0 ? widest : offset & -offset;
    const std::uint64_t fits = std::bit_floor(std::min<std::uint64_t>(left, widest));
    return static_cast<unsigned>(std::min(aligned, fits));
}

std::expected<void, int> read_region(platform::PciFunction& function, std::uint32_t region, std::uint64_t offset,
                                     std::span<std::byte> to) {
    if (!within(function, region, offset, to.size())) return std::unexpected(EINVAL);
    const bool config = region == VFIO_PCI_CONFIG_REGION_INDEX;
    if (config && !function.ready()) {
        std::ranges::fill(to, std::byte{0xFF});
        return {};
    }
    while (!to.empty()) {
        const unsigned width = access_bytes(offset, to.size(), config ? kWidestConfigAccess : kWidestBarAccess);
        const std::uint64_t value = config ? function.read_config(static_cast<std::uint32_t>(offset), width)
                                           : function.bars()[region].handler->read(offset, width);
        std::memcpy(to.data(), &value, width);
        offset += width;
        to = to.subspan(width);
    }
    return {};
}

std::expected<void, int> write_region(platform::PciFunction& function, std::uint32_t region, std::uint64_t offset,
                                      std::span<const std::byte> from) {
    if (!within(function, region, offset, from.size())) return std::unexpected(EINVAL);
    const bool config = region == VFIO_PCI_CONFIG_REGION_INDEX;
    if (config && !function.ready()) return {};
    while (!from.empty()) {
        const unsigned width = access_bytes(offset, from.size(), config ? kWidestConfigAccess : kWidestBarAccess);
        std::uint64_t value = 0;
        std::memcpy(&value, from.data(), width);
        if (config) {
            function.write_config(static_cast<std::uint32_t>(offset), width, static_cast<std::uint32_t>(value));
        } else {
            function.bars()[region].handler->write(offset, width, value);
        }
        offset += width;
        from = from.subspan(width);
    }
    return {};
}

} // namespace touka::devices::passthrough
