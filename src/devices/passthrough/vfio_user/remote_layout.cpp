#include "devices/passthrough/vfio_user/remote_layout.hpp"

#include <algorithm>
#include <utility>

#include "spec/pci/capability.hpp"
#include "spec/pci/config_header.hpp"

namespace touka::devices::passthrough {

using namespace spec::vfio;
using namespace spec::vfio_user;

namespace {

/// Room for the capabilities of a region, and for its doorbells.
constexpr std::uint32_t kAnswerBytes = 4096;
constexpr std::uint32_t kAreaLimit = 64, kCapabilityLimit = 16, kMsiLimit = 32;
constexpr std::uint64_t kLargestBarBytes = std::uint64_t{1} << 46;

bool within(std::uint64_t offset, std::uint64_t length, std::uint64_t bytes) {
    return offset <= bytes && length <= bytes - offset;
}

bool plausible_length(std::uint32_t index, std::uint64_t bytes) {
    if (index < spec::pci::kBarCount) return bytes <= kLargestBarBytes;
    if (index == VFIO_PCI_CONFIG_REGION_INDEX) {
        return bytes >= spec::pci::kConventionalConfigBytes && bytes <= spec::pci::kConfigBytes;
    }
    return true;
}

/// The areas of the capability at `at`; those that cannot be mapped safely are reached by messages instead.
std::expected<void, std::string> read_areas(const Message& reply, const RegionInfo& info, std::size_t at,
                                            RemoteRegion& region) {
    const auto sparse = reply.at<SparseMmap>(at + sizeof(InfoCapHeader));
    if (!sparse || sparse->nr_areas > kAreaLimit) return std::unexpected("a list of areas that is cut or too long");
    for (std::uint32_t i = 0; i < sparse->nr_areas; ++i) {
        const auto area =
            reply.at<SparseMmapArea>(at + sizeof(InfoCapHeader) + sizeof *sparse + i * sizeof(SparseMmapArea));
        if (!area || !within(area->offset, area->size, info.size)) return std::unexpected("an area outside its region");
        if (area->size == 0 || area->offset > ~info.offset) continue;
        auto mapping = runtime::SharedMapping::map(reply.descriptors[0], info.offset + area->offset, area->size);
        if (mapping) region.areas.push_back({area->offset, std::move(*mapping)});
    }
    return {};
}

std::expected<InterruptDescription, std::string> ask_interrupts(ClientConnection& connection, std::uint32_t index,
                                                                std::chrono::milliseconds limit) {
    const auto reply =
        connection.call(Command::kDeviceGetIrqInfo, bytes_of(IrqInfo{sizeof(IrqInfo), 0, index, 0}), limit);
    if (!reply) return std::unexpected("the server does not tell about interrupts");
    const auto info = reply->at<IrqInfo>();
    if (!info) return std::unexpected("a short answer about interrupts");
    constexpr std::array<std::uint32_t, VFIO_PCI_NUM_IRQS> kMost{1, kMsiLimit, spec::pci::kMsixVectorLimit, 1, 1};
    if (info->count > kMost[index]) return std::unexpected("more interrupts than a function can have");
    return InterruptDescription{info->count, info->flags};
}

} // namespace

std::span<std::byte> RemoteRegion::mapped(std::uint64_t offset, std::size_t count) const {
    for (const RemoteArea& area : areas) {
        const auto bytes = area.mapping.bytes();
        if (offset < area.offset || !within(offset - area.offset, count, bytes.size())) continue;
        return bytes.subspan(offset - area.offset, count);
    }
    return {};
}

bool RemoteLayout::same_shape(const RemoteLayout& other) const {
    return std::ranges::equal(regions, other.regions, {}, &RemoteRegion::length_bytes, &RemoteRegion::length_bytes) &&
           std::ranges::equal(interrupts, other.interrupts, {}, &InterruptDescription::count,
                              &InterruptDescription::count) &&
           can_reset == other.can_reset && can_migrate == other.can_migrate;
}

std::expected<RemoteRegion, std::string> read_region_info(const Message& reply, std::uint32_t index) {
    const auto info = reply.at<RegionInfo>();
    if (!info || info->index != index) return std::unexpected("an answer about another region");
    if (!plausible_length(index, info->size)) return std::unexpected("a region of an impossible size");
    RemoteRegion region{.length_bytes = info->size,
                        .readable = (info->flags & VFIO_REGION_INFO_FLAG_READ) != 0,
                        .writable = (info->flags & VFIO_REGION_INFO_FLAG_WRITE) != 0,
                        .areas = {},
                        .doorbells = {}};
    if ((info->flags & VFIO_REGION_INFO_FLAG_MMAP) == 0 || reply.descriptors.size() != 1 || !region.readable)
        return region;
    if ((info->flags & VFIO_REGION_INFO_FLAG_CAPS) == 0) {
        auto mapping = runtime::SharedMapping::map(reply.descriptors[0], info->offset, info->size);
        if (mapping) region.areas.push_back({0, std::move(*mapping)});
        return region;
    }
    std::size_t at = info->cap_offset;
    for (std::uint32_t i = 0; at != 0 && i < kCapabilityLimit; ++i) {
        const auto header = reply.at<InfoCapHeader>(at);
        if (!header) return std::unexpected("a capability outside of the answer");
        if (header->id == VFIO_REGION_INFO_CAP_SPARSE_MMAP) {
            if (const auto read = read_areas(reply, *info, at, region); !read) return std::unexpected(read.error());
        }
        at = header->next;
    }
    return region;
}

std::vector<RemoteDoorbell> read_doorbells(Message& reply, std::uint64_t region_bytes) {
    std::vector<RemoteDoorbell> doorbells;
    std::vector<std::shared_ptr<const runtime::ForeignEventfd>> events;
    for (auto& fd : reply.descriptors) {
        auto event = runtime::ForeignEventfd::take(std::move(fd));
        events.push_back(event ? std::make_shared<const runtime::ForeignEventfd>(std::move(*event)) : nullptr);
    }
    const auto list = reply.at<RegionIoFds>();
    if (!list || list->count == 0 || list->argsz < sizeof *list) return {};
    // Entries may be longer than here, as "VFIO_USER_DEVICE_GET_REGION_IO_FDS" says: those of libvfio-user with a place
    // for shadow memory before the data to match are.
    const std::size_t stride = (list->argsz - sizeof *list) / list->count;
    if (stride < sizeof(SubRegionIoFd)) return {};
    for (std::uint32_t i = 0; i < list->count; ++i) {
        const std::size_t at = sizeof *list + i * stride;
        const auto part = reply.at<SubRegionIoFd>(at);
        const auto match = reply.at<std::uint64_t>(at + stride - sizeof(std::uint64_t));
        if (!part || !match) break;
        const bool usable = part->type == kIoFdTypeIoEventFd && part->fd_index < events.size() &&
                            events[part->fd_index] && part->size <= 8 && within(part->offset, part->size, region_bytes);
        if (!usable) continue;
        RemoteDoorbell doorbell{part->offset, part->size, std::nullopt, events[part->fd_index]};
        if ((part->flags & kIoFdDataMatch) != 0) doorbell.matching = match;
        doorbells.push_back(std::move(doorbell));
    }
    return doorbells;
}

std::expected<std::shared_ptr<const RemoteLayout>, std::string> RemoteLayout::ask(ClientConnection& connection,
                                                                                  std::chrono::milliseconds limit) {
    const spec::vfio_user::DeviceInfo question{sizeof question, 0, 0, 0};
    const auto reply = connection.call(Command::kDeviceGetInfo, bytes_of(question), limit);
    if (!reply) return std::unexpected("the server does not tell about its device");
    const auto device = reply->at<spec::vfio_user::DeviceInfo>();
    if (!device || (device->flags & VFIO_DEVICE_FLAGS_PCI) == 0 ||
        device->num_regions <= VFIO_PCI_CONFIG_REGION_INDEX) {
        return std::unexpected("not a PCI device");
    }
    auto layout = std::make_shared<RemoteLayout>();
    layout->can_reset = (device->flags & VFIO_DEVICE_FLAGS_RESET) != 0;
    for (std::uint32_t i = 0; i < std::min(device->num_regions, VFIO_PCI_NUM_REGIONS); ++i) {
        const auto info =
            connection.call(Command::kDeviceGetRegionInfo, bytes_of(RegionInfo{kAnswerBytes, 0, i, 0, 0, 0}), limit);
        if (!info) return std::unexpected("the server does not tell about a region");
        auto region = read_region_info(*info, i);
        if (!region) return std::unexpected(region.error());
        layout->regions[i] = std::move(*region);
        if (i >= spec::pci::kBarCount || layout->regions[i].length_bytes == 0) continue;
        auto doorbells =
            connection.call(Command::kDeviceGetRegionIoFds, bytes_of(RegionIoFds{kAnswerBytes, 0, i, 0}), limit);
        if (doorbells) layout->regions[i].doorbells = read_doorbells(*doorbells, layout->regions[i].length_bytes);
    }
    for (std::uint32_t i = 0; i < std::min(device->num_irqs, VFIO_PCI_NUM_IRQS); ++i) {
        const auto interrupts = ask_interrupts(connection, i, limit);
        if (!interrupts) return std::unexpected(interrupts.error());
        layout->interrupts[i] = *interrupts;
    }
    const spec::vfio_user::DeviceFeature probe{
        sizeof probe, VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_GET |
                          static_cast<std::uint32_t>(spec::vfio::DeviceFeature::kMigDeviceState)};
    layout->can_migrate = connection.call(Command::kDeviceFeature, bytes_of(probe), limit).has_value();
    if (connection.lost()) return std::unexpected("the server has gone");
    return layout;
}

} // namespace touka::devices::passthrough
