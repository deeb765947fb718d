// Messages about the device: what it has, its registers, its interrupts, its state.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "devices/passthrough/vfio_user/region_access.hpp"
#include "devices/passthrough/vfio_user/session.hpp"

namespace touka::devices::passthrough {

using namespace spec::vfio_user;
using namespace spec::vfio;
namespace wire = spec::vfio_user;

namespace {

bool is_bar(std::uint32_t region) { return region < spec::pci::kBarCount; }

} // namespace

Session::Answer Session::device_info(const Message& message) {
    const auto request = message.at<wire::DeviceInfo>();
    if (!request || request->argsz < sizeof *request) return std::unexpected(EINVAL);
    Reply reply;
    append(reply.payload, wire::DeviceInfo{sizeof(wire::DeviceInfo), VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI,
                                           VFIO_PCI_NUM_REGIONS, VFIO_PCI_NUM_IRQS});
    return reply;
}

Session::Answer Session::region_info(const Message& message) {
    const auto request = message.at<RegionInfo>();
    if (!request || request->argsz < sizeof *request || request->index >= VFIO_PCI_NUM_REGIONS) {
        return std::unexpected(EINVAL);
    }
    RegionInfo info{sizeof info, 0, request->index, 0, region_bytes(served_.function, request->index), 0};
    Reply reply;
    if (info.size != 0) info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
    std::vector<std::byte> capability;
    const auto shared =
        info.size != 0 && is_bar(info.index) && served_.sharing ? served_.sharing->mappable(info.index) : std::nullopt;
    const bool shares = shared && client_.max_message_descriptors > 0;
    if (shares) {
        info.flags |= VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS;
        info.offset = shared->file_offset;
        const auto areas = shared->areas.empty() ? std::vector<MappableRegion::Area>{{0, info.size}} : shared->areas;
        append(capability, InfoCapHeader{VFIO_REGION_INFO_CAP_SPARSE_MMAP, 1, 0});
        append(capability, SparseMmap{static_cast<std::uint32_t>(areas.size()), 0});
        for (const auto& area : areas) append(capability, SparseMmapArea{area.offset, area.length_bytes});
    }
    info.argsz = static_cast<std::uint32_t>(sizeof info + capability.size());
    const bool fits = request->argsz >= info.argsz;
    if (fits && shares) info.cap_offset = sizeof info;
    append(reply.payload, info);
    // Who asks for the size first, as libvfio-user's clients do, has no room for a descriptor either; that is why all
    // of a BAR is said as an area, too.
    if (fits && shares) {
        reply.descriptors.push_back(shared->file);
        reply.payload.insert(reply.payload.end(), capability.begin(), capability.end());
    }
    return reply;
}

Session::Answer Session::region_io_fds(const Message& message) {
    const auto request = message.at<RegionIoFds>();
    if (!request || request->argsz < sizeof *request || request->flags != 0 || request->count != 0 ||
        request->index >= VFIO_PCI_NUM_REGIONS || region_bytes(served_.function, request->index) == 0) {
        return std::unexpected(EINVAL);
    }
    const auto doorbells = is_bar(request->index) && served_.sharing ? served_.sharing->doorbells(request->index)
                                                                     : std::vector<RegionDoorbell>();
    const std::uint64_t limit =
        std::min<std::uint64_t>(client_.max_message_descriptors, MessageChannel::kDescriptorLimit);
    Reply reply;
    std::vector<SubRegionIoFd> parts;
    for (const RegionDoorbell& doorbell : doorbells) {
        auto place = std::ranges::find(reply.descriptors, doorbell.eventfd);
        if (place == reply.descriptors.end()) {
            if (reply.descriptors.size() >= limit) break; // the rest is reached by messages
            place = reply.descriptors.insert(place, doorbell.eventfd);
        }
        parts.push_back({doorbell.offset, doorbell.width_bytes,
                         static_cast<std::uint32_t>(place - reply.descriptors.begin()), kIoFdTypeIoEventFd,
                         doorbell.matching ? kIoFdDataMatch : 0, 0, doorbell.matching.value_or(0)});
    }
    const auto size = static_cast<std::uint32_t>(sizeof(RegionIoFds) + parts.size() * sizeof(SubRegionIoFd));
    const bool fits = request->argsz >= size;
    append(reply.payload, RegionIoFds{size, 0, request->index, fits ? static_cast<std::uint32_t>(parts.size()) : 0});
    if (!fits) {
        reply.descriptors.clear();
        return reply;
    }
    for (const auto& part : parts) append(reply.payload, part);
    return reply;
}

Session::Answer Session::irq_info(const Message& message) {
    const auto request = message.at<IrqInfo>();
    if (!request || request->argsz < sizeof *request || request->index >= VFIO_PCI_NUM_IRQS) {
        return std::unexpected(EINVAL);
    }
    Reply reply;
    append(reply.payload, IrqInfo{sizeof(IrqInfo), InterruptTable::info_flags(request->index), request->index,
                                  interrupts_.count(request->index)});
    return reply;
}

// --- registers ---

Session::Answer Session::read(const Message& message) {
    const auto access = message.at<RegionAccess>();
    if (!access || access->count > MessageChannel::kTransferLimitBytes) return std::unexpected(EINVAL);
    Reply reply;
    append(reply.payload, *access);
    reply.payload.resize(sizeof *access + access->count);
    const auto done =
        read_region(served_.function, access->region, access->offset, std::span(reply.payload).subspan(sizeof *access));
    if (!done) return std::unexpected(done.error());
    return reply;
}

Session::Answer Session::write(const Message& message) {
    const auto access = message.at<RegionAccess>();
    if (!access || message.payload.size() - sizeof *access != access->count) return std::unexpected(EINVAL);
    const auto done = write_region(served_.function, access->region, access->offset, message.after(sizeof *access));
    if (!done) return std::unexpected(done.error());
    Reply reply;
    append(reply.payload, *access);
    return reply;
}

Session::Answer Session::write_multiple(const Message& message) {
    const auto count = message.at<std::uint64_t>();
    if (!count || *count > message.payload.size() / sizeof(MultiWrite) ||
        message.payload.size() - sizeof *count != *count * sizeof(MultiWrite)) {
        return std::unexpected(EINVAL);
    }
    std::uint64_t done = 0;
    for (; done < *count; ++done) {
        const auto one = message.at<MultiWrite>(sizeof *count + done * sizeof(MultiWrite));
        if (one->count == 0 || one->count > sizeof one->data) break;
        if (!write_region(served_.function, one->region, one->offset, bytes_of(one->data).first(one->count))) break;
    }
    if (done == 0 && *count != 0) return std::unexpected(EINVAL);
    Reply reply;
    append(reply.payload, done);
    return reply;
}

// --- features and migration ---

Session::Answer Session::feature(const Message& message) {
    const auto request = message.at<wire::DeviceFeature>();
    if (!request || request->argsz < sizeof *request) return std::unexpected(EINVAL);
    constexpr std::uint32_t kKnown =
        VFIO_DEVICE_FEATURE_MASK | VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PROBE;
    const bool get = (request->flags & VFIO_DEVICE_FEATURE_GET) != 0;
    const bool set = (request->flags & VFIO_DEVICE_FEATURE_SET) != 0;
    const bool probe = (request->flags & VFIO_DEVICE_FEATURE_PROBE) != 0;
    if ((request->flags & ~kKnown) != 0 || (!probe && get == set)) return std::unexpected(EINVAL);
    bool can_get = false, can_set = false;
    switch (static_cast<spec::vfio::DeviceFeature>(request->flags & VFIO_DEVICE_FEATURE_MASK)) {
        case spec::vfio::DeviceFeature::kMigration:
        case spec::vfio::DeviceFeature::kDmaLoggingReport: can_get = true; break;
        case spec::vfio::DeviceFeature::kMigDeviceState: can_get = can_set = true; break;
        case spec::vfio::DeviceFeature::kDmaLoggingStart:
        case spec::vfio::DeviceFeature::kDmaLoggingStop: can_set = true; break;
        default: return std::unexpected(ENOTTY);
    }
    if ((get && !can_get) || (set && !can_set)) return std::unexpected(EINVAL);
    if (probe) return Reply{message.payload, {}};
    return get ? get_feature(message) : set_feature(message);
}

Session::Answer Session::set_feature(const Message& message) {
    const auto request = message.at<wire::DeviceFeature>();
    switch (static_cast<spec::vfio::DeviceFeature>(request->flags & VFIO_DEVICE_FEATURE_MASK)) {
        case spec::vfio::DeviceFeature::kMigDeviceState: {
            const auto wanted = message.at<MigrationDeviceState>(sizeof *request);
            if (!wanted) return std::unexpected(EINVAL);
            const auto changed = migration_.set(static_cast<MigrationState>(wanted->device_state));
            if (!changed) return std::unexpected(changed.error());
            return Reply{message.payload, {}};
        }
        case spec::vfio::DeviceFeature::kDmaLoggingStart: return start_logging(message);
        case spec::vfio::DeviceFeature::kDmaLoggingStop:
            served_.space.stop_logging();
            return Reply{message.payload, {}};
        default: return std::unexpected(EINVAL);
    }
}

Session::Answer Session::migration_read(const Message& message) {
    const auto request = message.at<MigrationData>();
    if (!request || request->argsz < sizeof *request || request->size > request->argsz - sizeof *request ||
        request->size > MessageChannel::kTransferLimitBytes) {
        return std::unexpected(EINVAL);
    }
    const auto data = migration_.read(request->size);
    if (!data) return std::unexpected(data.error());
    Reply reply;
    append(reply.payload, MigrationData{static_cast<std::uint32_t>(sizeof *request + data->size()),
                                        static_cast<std::uint32_t>(data->size())});
    reply.payload.insert(reply.payload.end(), data->begin(), data->end());
    // The last part is as long as was asked for, too, as from libvfio-user's servers: its clients read so much.
    reply.payload.resize(sizeof *request + request->size);
    return reply;
}

Session::Answer Session::migration_write(const Message& message) {
    const auto request = message.at<MigrationData>();
    if (!request || message.payload.size() - sizeof *request != request->size) return std::unexpected(EINVAL);
    const auto written = migration_.write(message.after(sizeof *request));
    if (!written) return std::unexpected(written.error());
    return Reply{};
}

} // namespace touka::devices::passthrough
