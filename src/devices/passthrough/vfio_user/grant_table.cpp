#include "devices/passthrough/vfio_user/grant_table.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace touka::devices::passthrough {

using memory::Iova;

std::size_t GrantTable::chunk_of(Iova address) const {
    const auto next =
        std::ranges::upper_bound(chunks_, address, {}, [](const auto& each) { return each->front().start; });
    return next == chunks_.begin() ? 0 : static_cast<std::size_t>(next - chunks_.begin()) - 1;
}

const DmaGrant* GrantTable::find(Iova address) const {
    if (chunks_.empty()) return nullptr;
    const Chunk& chunk = *chunks_[chunk_of(address)];
    const auto next = std::ranges::upper_bound(chunk, address, {}, &DmaGrant::start);
    if (next == chunk.begin() || std::prev(next)->last() < address) return nullptr;
    return &*std::prev(next);
}

bool GrantTable::overlaps(const DmaGrant& grant) const {
    if (chunks_.empty()) return false;
    const std::size_t index = chunk_of(grant.start);
    const Chunk& chunk = *chunks_[index];
    const auto next = std::ranges::upper_bound(chunk, grant.start, {}, &DmaGrant::start);
    if (next != chunk.begin() && std::prev(next)->last() >= grant.start) return true;
    if (next != chunk.end()) return next->start <= grant.last();
    return index + 1 < chunks_.size() && chunks_[index + 1]->front().start <= grant.last();
}

GrantTable GrantTable::with(DmaGrant grant) const {
    GrantTable made = *this;
    ++made.size_;
    if (chunks_.empty()) {
        made.chunks_.push_back(std::make_shared<const Chunk>(Chunk{std::move(grant)}));
        return made;
    }
    const std::size_t index = chunk_of(grant.start);
    Chunk chunk = *chunks_[index];
    chunk.insert(std::ranges::upper_bound(chunk, grant.start, {}, &DmaGrant::start), std::move(grant));
    if (chunk.size() > kChunkLimit) {
        const auto middle = chunk.begin() + kChunkLimit / 2;
        made.chunks_.insert(made.chunks_.begin() + static_cast<std::ptrdiff_t>(index) + 1,
                            std::make_shared<const Chunk>(middle, chunk.end()));
        chunk.erase(middle, chunk.end());
    }
    made.chunks_[index] = std::make_shared<const Chunk>(std::move(chunk));
    return made;
}

GrantTable GrantTable::without(Iova start) const {
    GrantTable made = *this;
    --made.size_;
    const std::size_t index = chunk_of(start);
    Chunk chunk = *chunks_[index];
    std::erase_if(chunk, [&](const DmaGrant& each) { return each.start == start; });
    if (chunk.empty()) {
        made.chunks_.erase(made.chunks_.begin() + static_cast<std::ptrdiff_t>(index));
    } else {
        made.chunks_[index] = std::make_shared<const Chunk>(std::move(chunk));
    }
    return made;
}

GrantTable GrantTable::changed(const std::function<void(DmaGrant&)>& change) const {
    GrantTable made = *this;
    for (auto& place : made.chunks_) {
        Chunk chunk = *place;
        std::ranges::for_each(chunk, change);
        place = std::make_shared<const Chunk>(std::move(chunk));
    }
    return made;
}

void GrantTable::for_each(const std::function<void(const DmaGrant&)>& visit) const {
    for (const auto& chunk : chunks_) std::ranges::for_each(*chunk, visit);
}

} // namespace touka::devices::passthrough
