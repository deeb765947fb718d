#include "devices/passthrough/vfio_user/mapped_dma_space.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

namespace touka::devices::passthrough {

using memory::DmaAccess;
using memory::DmaFault;
using memory::Iova;

MappedDmaSpace::MappedDmaSpace(std::string requester) : faults_(std::move(requester)) {}

// --- the owner's side ---

void MappedDmaSpace::publish(GrantTable table, std::function<void()> done) {
    auto old = std::exchange(current_, std::make_shared<const GrantTable>(std::move(table)));
    table_.store(current_.get());
    revoked([old = std::move(old), done = std::move(done)]() mutable {
        old.reset();
        if (done) done();
    });
}

std::size_t MappedDmaSpace::grant_count() const { return current_->size(); }

std::expected<std::shared_ptr<const runtime::SharedMapping>, GrantError>
MappedDmaSpace::mapping_of(const runtime::UniqueFd& file, std::uint64_t offset, std::uint64_t length_bytes) {
    struct stat status{};
    if (::fstat(file.get(), &status) != 0) return std::unexpected(GrantError::kNotInFile);
    const auto file_bytes = static_cast<std::uint64_t>(status.st_size);
    if (length_bytes > kMappedLimitBytes) return std::unexpected(GrantError::kTooMany);
    if (offset > file_bytes || length_bytes > file_bytes - offset) return std::unexpected(GrantError::kNotInFile);
    std::erase_if(files_, [](const MappedFile& each) { return each.mapping.expired(); });
    std::uint64_t mapped_bytes = 0;
    for (const MappedFile& each : files_) {
        auto mapping = each.mapping.lock();
        mapped_bytes += mapping ? mapping->bytes().size() : 0;
        // One that grew since is mapped again.
        const bool same = each.device == status.st_dev && each.inode == status.st_ino;
        if (same && mapping && !mapping->lost() && offset + length_bytes <= mapping->bytes().size()) return mapping;
    }
    if (file_bytes > kMappedLimitBytes - std::min(kMappedLimitBytes, mapped_bytes)) {
        return std::unexpected(GrantError::kTooMany);
    }
    auto mapping = runtime::SharedMapping::map_unsealed(file, 0, file_bytes);
    if (!mapping && mapping.error() == runtime::MappingError::kNotMemory) return nullptr;
    if (!mapping) return std::unexpected(GrantError::kNotInFile);
    auto shared = std::make_shared<const runtime::SharedMapping>(std::move(*mapping));
    files_.push_back({status.st_dev, status.st_ino, shared});
    return shared;
}

std::expected<void, GrantError> MappedDmaSpace::grant(Iova start, std::uint64_t length_bytes, DmaRights rights,
                                                      const runtime::UniqueFd& file, std::uint64_t file_offset) {
    if (length_bytes == 0 || (!rights.read && !rights.write)) return std::unexpected(GrantError::kEmpty);
    if (length_bytes - 1 > std::numeric_limits<std::uint64_t>::max() - start.value) {
        return std::unexpected(GrantError::kWraps);
    }
    DmaGrant grant{start, length_bytes, rights, {}, nullptr, nullptr};
    if (current_->overlaps(grant)) return std::unexpected(GrantError::kOverlaps);
    if (current_->size() >= kGrantLimit) return std::unexpected(GrantError::kTooMany);
    if (file) {
        auto mapping = mapping_of(file, file_offset, length_bytes);
        if (!mapping) return std::unexpected(mapping.error());
        if (*mapping) grant.bytes = (*mapping)->bytes().subspan(file_offset, length_bytes);
        grant.mapping = std::move(*mapping);
    }
    if (logging_ && grant.mapping && rights.write) grant.dirty = std::make_shared<DirtyPages>(length_bytes);
    publish(current_->with(std::move(grant)), {});
    return {};
}

std::expected<void, GrantError> MappedDmaSpace::revoke(Iova start, std::uint64_t length_bytes, OnRevoked on_revoked) {
    const DmaGrant* const found = current_->find(start);
    if (found == nullptr || found->start != start || found->length_bytes != length_bytes) {
        return std::unexpected(GrantError::kNoSuch);
    }
    DmaGrant gone = *found;
    // Requests that reach other memory may last: nobody waits for those. What holds this is mapped until then.
    publish(current_->without(start), [this, gone = std::move(gone), on_revoked = std::move(on_revoked)] {
        const auto reaches = [&gone, by_memory = holds_translated_.load()](const memory::DmaHold& hold) {
            return std::ranges::any_of(hold.ranges(), [&](const memory::DmaHold::Range& range) {
                if (by_memory)
                    return range.memory.data() < gone.bytes.data() + gone.bytes.size() &&
                           gone.bytes.data() < range.memory.data() + range.memory.size();
                return range.address <= gone.last() && gone.start <= range.address + (range.memory.size() - 1);
            });
        };
        holds_.when_over(reaches, [gone, on_revoked] { on_revoked(gone.dirty); });
    });
    return {};
}

void MappedDmaSpace::revoke_all(OnRevoked on_revoked) {
    publish({}, [this, all = current_, on_revoked = std::move(on_revoked)] {
        holds_.when_over([](const memory::DmaHold&) { return true; }, [all, on_revoked] { on_revoked(nullptr); });
    });
}

// --- the dirty log ---

void MappedDmaSpace::start_logging(std::span<const Range> ranges) {
    logging_ = true;
    publish(current_->changed([&](DmaGrant& grant) {
        const bool within = ranges.empty() || std::ranges::any_of(ranges, [&](const Range& range) {
                                return range.length_bytes != 0 && range.start <= grant.last() &&
                                       grant.start <= range.start + (range.length_bytes - 1);
                            });
        grant.dirty =
            within && grant.mapping && grant.rights.write ? std::make_shared<DirtyPages>(grant.length_bytes) : nullptr;
    }),
            {});
}

void MappedDmaSpace::stop_logging() {
    logging_ = false;
    publish(current_->changed([](DmaGrant& grant) { grant.dirty = nullptr; }), {});
}

void collect_dirty(DirtyPages& pages, std::uint64_t offset, std::uint64_t length_bytes, std::uint64_t first_bit_offset,
                   std::uint64_t page_bytes, std::span<std::byte> bitmap) {
    pages.take(offset, length_bytes, [&](std::uint64_t at) {
        // A page that begins before the range counts as the range's first one.
        const std::uint64_t bit = (std::max(at, offset) - first_bit_offset) / page_bytes;
        if (bit / 8 < bitmap.size()) bitmap[bit / 8] |= static_cast<std::byte>(1u << bit % 8);
    });
}

std::vector<std::byte> MappedDmaSpace::take_dirty(Range range, std::uint64_t page_bytes) {
    std::vector<std::byte> bitmap(bitmap_bytes(range.length_bytes, page_bytes));
    if (range.length_bytes == 0) return bitmap;
    const Iova last = range.start + (range.length_bytes - 1);
    current_->for_each([&](const DmaGrant& grant) {
        if (!grant.dirty || grant.start > last || range.start > grant.last()) return;
        const std::uint64_t from = std::max(grant.start, range.start) - grant.start;
        const std::uint64_t to = std::min(grant.last(), last) - grant.start;
        collect_dirty(*grant.dirty, from, to - from + 1, range.start - grant.start, page_bytes, bitmap);
    });
    return bitmap;
}

// --- the device's side ---

std::unexpected<DmaFault> MappedDmaSpace::fault(Iova address, std::uint64_t length_bytes, DmaAccess access) {
    faults_.record(address, length_bytes, access);
    if (const auto remote = *remote_.lock()) remote->blocked(address, access);
    return std::unexpected(DmaFault{address, access});
}

std::expected<std::span<std::byte>, DmaFault> MappedDmaSpace::translate(Iova address, std::uint64_t length_bytes,
                                                                        DmaAccess access) {
    const auto found = find(address, length_bytes, access);
    if (found.empty()) return fault(address, length_bytes, access);
    return found;
}

std::span<std::byte> MappedDmaSpace::find(Iova address, std::uint64_t length_bytes, DmaAccess access) {
    const auto held = use();
    const DmaGrant* const grant = table_.load()->find(address);
    if (!grant || !grant->allows(access) || !grant->mapping || grant->mapping->lost()) return {};
    const std::uint64_t offset = address - grant->start;
    return grant->bytes.subspan(offset, std::min(length_bytes, grant->length_bytes - offset));
}

void MappedDmaSpace::written(std::span<const std::byte> host_memory) {
    if (!logging_ || host_memory.empty()) return;
    const auto held = use();
    // Several regions may show the same memory.
    table_.load()->for_each([&](const DmaGrant& grant) {
        if (!grant.dirty || host_memory.data() < grant.bytes.data() ||
            host_memory.data() >= grant.bytes.data() + grant.bytes.size()) {
            return;
        }
        const auto offset = static_cast<std::uint64_t>(host_memory.data() - grant.bytes.data());
        grant.dirty->mark(offset, host_memory.size());
    });
}

std::expected<void, DmaFault> MappedDmaSpace::read(Iova address, std::span<std::byte> to) {
    const auto held = use();
    while (!to.empty()) {
        const DmaGrant* const grant = table_.load()->find(address);
        if (!grant || !grant->rights.read) return fault(address, to.size(), DmaAccess::kRead);
        const std::uint64_t offset = address - grant->start;
        const std::size_t count = std::min(to.size(), grant->length_bytes - offset);
        if (grant->mapping) {
            std::memcpy(to.data(), grant->bytes.data() + offset, count);
            if (grant->mapping->lost()) return fault(address, count, DmaAccess::kRead);
        } else {
            const auto remote = *remote_.lock();
            if (!remote || !remote->read(address, to.first(count))) return fault(address, count, DmaAccess::kRead);
        }
        address = address + count;
        to = to.subspan(count);
    }
    return {};
}

std::expected<void, DmaFault> MappedDmaSpace::write(Iova address, std::span<const std::byte> from) {
    const auto held = use();
    while (!from.empty()) {
        const DmaGrant* const grant = table_.load()->find(address);
        if (!grant || !grant->rights.write) return fault(address, from.size(), DmaAccess::kWrite);
        const std::uint64_t offset = address - grant->start;
        const std::size_t count = std::min(from.size(), grant->length_bytes - offset);
        if (grant->mapping) {
            std::memcpy(grant->bytes.data() + offset, from.data(), count);
            if (grant->mapping->lost()) return fault(address, count, DmaAccess::kWrite);
            if (grant->dirty) grant->dirty->mark(offset, count);
        } else {
            const auto remote = *remote_.lock();
            if (!remote || !remote->write(address, from.first(count))) return fault(address, count, DmaAccess::kWrite);
        }
        address = address + count;
        from = from.subspan(count);
    }
    return {};
}

} // namespace touka::devices::passthrough
