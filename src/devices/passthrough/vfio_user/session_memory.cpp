// Messages about what the client can do, its memory, and the log of writes to it.
#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "devices/passthrough/vfio_user/client_translations.hpp"
#include "devices/passthrough/vfio_user/session.hpp"
#include "spec/vfio_user/address_translation.hpp"

namespace touka::devices::passthrough {

using namespace spec::vfio_user;

namespace {

/// Fewer than are taken: QEMU's client leaves a server that says more.
constexpr std::uint64_t kAnnouncedDescriptors = 16;
static_assert(kAnnouncedDescriptors <= MessageChannel::kDescriptorLimit);

/// For the answer to one translation request: the function's thread waits, which is others', too.
constexpr std::chrono::milliseconds kTranslationLimit{1000};

int to_errno(GrantError error) {
    switch (error) {
        case GrantError::kOverlaps: return EEXIST;
        case GrantError::kTooMany: return ENOSPC;
        case GrantError::kNoSuch: return ENOENT;
        case GrantError::kEmpty:
        case GrantError::kWraps:
        case GrantError::kNotInFile: return EINVAL;
    }
    std::unreachable();
}

bool wraps(std::uint64_t start, std::uint64_t length) {
    return length != 0 && length - 1 > std::numeric_limits<std::uint64_t>::max() - start;
}

} // namespace

Session::Answer Session::version(const Message& message) {
    const auto proposed = message.at<Version>();
    if (introduced_ || !proposed || proposed->major != kMajor) return std::unexpected(EINVAL);
    const auto capabilities = read_capabilities(message.after(sizeof *proposed));
    if (!capabilities) return std::unexpected(EINVAL);
    client_ = *capabilities;
    Capabilities ours;
    ours.max_message_descriptors = kAnnouncedDescriptors;
    ours.max_dma_maps = MappedDmaSpace::kGrantLimit;
    ours.write_multiple = true;
    Reply reply;
    if (client_.twin_socket && client_.max_message_descriptors > 0) {
        auto [mine, theirs] = runtime::DescriptorSocket::pair();
        twin_peer_ = std::move(theirs);
        reply.descriptors.push_back(twin_peer_.get());
        ours.twin_socket = true;
        ours.twin_socket_index = 0;
        commands_ = std::make_shared<TwinSocket>(std::move(mine));
        translates_ = ours.address_translation = client_.address_translation && served_.translated != nullptr;
    } else {
        // Not this object's owner: the space lets go of it before it ends.
        commands_ = std::shared_ptr<ServerCommands>(std::shared_ptr<void>(), this);
    }
    const auto transfer = std::min<std::uint64_t>(client_.max_transfer_bytes, MessageChannel::kTransferLimitBytes);
    served_.space.set_remote(
        std::make_shared<ClientMemory>(commands_, static_cast<std::size_t>(transfer), memory_limit_));
    if (translates_)
        served_.translated->begin(
            std::make_shared<ClientTranslations>(commands_, std::min(memory_limit_, kTranslationLimit)));
    append(reply.payload, Version{kMajor, std::min(kMinor, proposed->minor)});
    const auto text = write_capabilities(ours);
    reply.payload.insert(reply.payload.end(), text.begin(), text.end());
    introduced_ = true;
    return reply;
}

Session::Answer Session::dma_map(Message& message) {
    const auto map = message.at<DmaMap>();
    if (!map || map->argsz < sizeof *map || (map->flags & ~(kDmaReadable | kDmaWriteable)) != 0 ||
        message.descriptors.size() > 1) {
        return std::unexpected(EINVAL);
    }
    const DmaRights rights{(map->flags & kDmaReadable) != 0, (map->flags & kDmaWriteable) != 0};
    const runtime::UniqueFd file =
        message.descriptors.empty() ? runtime::UniqueFd() : std::move(message.descriptors[0]);
    const auto granted = served_.space.grant(memory::Iova{map->address}, map->size, rights, file, map->offset);
    if (!granted) return std::unexpected(to_errno(granted.error()));
    return Reply{};
}

Session::Answer Session::dma_unmap(const Message& message) {
    const auto unmap = message.at<DmaUnmap>();
    if (!unmap || unmap->argsz < sizeof *unmap) return std::unexpected(EINVAL);
    if ((unmap->flags & ~(kUnmapGetDirtyBitmap | kUnmapAll)) != 0) return std::unexpected(ENOTSUP);
    const bool all = (unmap->flags & kUnmapAll) != 0, with_bitmap = (unmap->flags & kUnmapGetDirtyBitmap) != 0;
    if (all && (with_bitmap || unmap->address != 0 || unmap->size != 0)) return std::unexpected(EINVAL);
    auto bitmap = message.at<DirtyBitmap>(sizeof *unmap);
    if (with_bitmap) {
        if (!bitmap || !served_.space.logging() || !std::has_single_bit(bitmap->page_size) ||
            bitmap->page_size < spec::kPageSize || unmap->size == 0 ||
            bitmap_bytes(unmap->size, bitmap->page_size) >
                std::min<std::uint64_t>(bitmap->size, MessageChannel::kTransferLimitBytes)) {
            return std::unexpected(EINVAL);
        }
        bitmap->size = bitmap_bytes(unmap->size, bitmap->page_size);
    }
    auto on_revoked = [this, alive = std::weak_ptr(alive_), header = message.header, unmap = *unmap, bitmap,
                       with_bitmap](const std::shared_ptr<DirtyPages>& pages) {
        answer_later(alive, header, [unmap, bitmap, with_bitmap, pages] {
            Reply answer;
            append(answer.payload, unmap);
            if (with_bitmap) {
                std::vector<std::byte> bits(bitmap->size);
                if (pages) collect_dirty(*pages, 0, unmap.size, 0, bitmap->page_size, bits);
                append(answer.payload, *bitmap);
                answer.payload.insert(answer.payload.end(), bits.begin(), bits.end());
            }
            return answer;
        });
    };
    if (all) {
        served_.space.revoke_all(std::move(on_revoked));
    } else if (const auto revoked =
                   served_.space.revoke(memory::Iova{unmap->address}, unmap->size, std::move(on_revoked));
               !revoked) {
        return std::unexpected(to_errno(revoked.error()));
    }
    waiting_ = true;
    return std::nullopt;
}

Session::Answer Session::invalidate_translations(const Message& message) {
    const auto head = message.at<InvalidateTranslations>();
    if (!translates_ || !head || (head->flags & ~kAddressesAreTranslated) != 0 ||
        head->count > kInvalidationExtentLimit ||
        message.payload.size() != sizeof *head + head->count * sizeof(InvalidationExtent)) {
        return std::unexpected(EINVAL);
    }
    std::vector<TranslatedDmaSpace::Extent> extents;
    for (std::uint32_t i = 0; i < head->count; ++i) {
        const auto extent = message.at<InvalidationExtent>(sizeof *head + i * sizeof(InvalidationExtent));
        if (extent->first > extent->last) return std::unexpected(EINVAL);
        extents.push_back({extent->first, extent->last});
    }
    waiting_ = true;
    served_.translated->invalidate(std::move(extents), (head->flags & kAddressesAreTranslated) != 0,
                                   [this, alive = std::weak_ptr(alive_), header = message.header] {
                                       answer_later(alive, header, [] { return Reply{}; });
                                   });
    return std::nullopt;
}

void Session::answer_later(const std::weak_ptr<bool>& alive, const Header& header, std::function<Reply()> make) {
    // That memory is not reached any more is said on whatever thread it is, perhaps when this object has gone.
    reactor_.post([this, alive, header, make = std::move(make)] {
        if (!alive.lock() || closing_) return;
        reply(header, make());
        waiting_ = busy_ = false;
        work();
        if (failed_) return end();
        update_watch();
    });
}

Session::Answer Session::start_logging(const Message& message) {
    const auto start = message.at<DmaLoggingStart>(sizeof(DeviceFeature));
    constexpr std::size_t kRangesAt = sizeof(DeviceFeature) + sizeof(DmaLoggingStart);
    if (!start || !std::has_single_bit(start->page_size)) return std::unexpected(EINVAL);
    if (message.payload.size() - kRangesAt != std::uint64_t{start->num_ranges} * sizeof(DmaLoggingRange)) {
        return std::unexpected(EINVAL);
    }
    std::vector<MappedDmaSpace::Range> ranges;
    for (std::uint32_t i = 0; i < start->num_ranges; ++i) {
        const auto range = message.at<DmaLoggingRange>(kRangesAt + i * sizeof(DmaLoggingRange));
        if (wraps(range->iova, range->length)) return std::unexpected(EINVAL);
        ranges.push_back({memory::Iova{range->iova}, range->length});
    }
    served_.space.start_logging(ranges);
    Reply reply{message.payload, {}};
    const std::uint64_t page_size = spec::kPageSize;
    std::memcpy(reply.payload.data() + sizeof(DeviceFeature), &page_size, sizeof page_size);
    return reply;
}

Session::Answer Session::get_feature(const Message& message) {
    const auto request = message.at<DeviceFeature>();
    Reply reply;
    append(reply.payload, *request);
    switch (static_cast<spec::vfio::DeviceFeature>(request->flags & spec::vfio::VFIO_DEVICE_FEATURE_MASK)) {
        case spec::vfio::DeviceFeature::kMigration:
            append(reply.payload, spec::vfio::VFIO_MIGRATION_STOP_COPY | spec::vfio::VFIO_MIGRATION_PRE_COPY);
            break;
        case spec::vfio::DeviceFeature::kMigDeviceState:
            append(reply.payload, MigrationDeviceState{std::to_underlying(migration_.state()), 0});
            break;
        case spec::vfio::DeviceFeature::kDmaLoggingReport: {
            const auto report = message.at<DmaLoggingReport>(sizeof(DeviceFeature));
            if (!report || !served_.space.logging() || !std::has_single_bit(report->page_size) ||
                report->page_size < spec::kPageSize || report->length == 0 || wraps(report->iova, report->length) ||
                bitmap_bytes(report->length, report->page_size) > MessageChannel::kTransferLimitBytes) {
                return std::unexpected(EINVAL);
            }
            const std::uint64_t size =
                sizeof *request + sizeof *report + bitmap_bytes(report->length, report->page_size);
            if (request->argsz < size) return std::unexpected(EINVAL); // before the log's bits are taken
            append(reply.payload, *report);
            const auto bits = served_.space.take_dirty({memory::Iova{report->iova}, report->length}, report->page_size);
            reply.payload.insert(reply.payload.end(), bits.begin(), bits.end());
            break;
        }
        default: return std::unexpected(EINVAL);
    }
    if (request->argsz < reply.payload.size()) return std::unexpected(EINVAL);
    const auto size = static_cast<std::uint32_t>(reply.payload.size());
    std::memcpy(reply.payload.data(), &size, sizeof size);
    return reply;
}

} // namespace touka::devices::passthrough
