#include "scsi/iscsi/buffer_pool.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstdlib>

namespace touka::scsi::iscsi {

namespace {

std::size_t class_of(std::size_t piece_bytes) {
    return static_cast<std::size_t>(std::countr_zero(piece_bytes) - std::countr_zero(BufferPool::kSmallestBytes));
}

} // namespace

std::size_t BufferPool::piece_bytes(std::size_t bytes) {
    assert(bytes <= kLargestBytes);
    return std::bit_ceil(std::max(bytes, kSmallestBytes));
}

BufferPool::~BufferPool() {
    for (auto& pieces : free_) {
        for (std::uint8_t* piece : pieces) std::free(piece);
    }
}

std::span<std::uint8_t> BufferPool::take(std::size_t bytes) {
    const std::size_t size = piece_bytes(bytes);
    if (used_bytes_ + size > limit_bytes_) return {};
    auto& pieces = free_[class_of(size)];
    std::uint8_t* memory = nullptr;
    if (pieces.empty()) {
        memory = static_cast<std::uint8_t*>(std::aligned_alloc(kSmallestBytes, size));
        if (memory == nullptr) return {};
    } else {
        memory = pieces.back();
        pieces.pop_back();
        kept_bytes_ -= size;
    }
    used_bytes_ += size;
    return {memory, size};
}

void BufferPool::give_back(std::span<std::uint8_t> piece) {
    if (piece.empty()) return;
    used_bytes_ -= piece.size();
    if (kept_bytes_ + piece.size() > kept_limit_bytes_) return std::free(piece.data());
    kept_bytes_ += piece.size();
    free_[class_of(piece.size())].push_back(piece.data());
}

} // namespace touka::scsi::iscsi
