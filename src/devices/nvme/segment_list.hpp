#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace touka::devices::nvme {

/// Where a command's data is in host memory: pieces in order, neighbours joined. The room is given once and never
/// grows.
class SegmentList {
public:
    SegmentList() = default;
    explicit SegmentList(std::span<iovec> room) : room_(room) {}

    void clear() { count_ = 0, bytes_ = 0; }
    /// @return false: no room left, nothing was added.
    [[nodiscard]] bool append(std::span<std::byte> piece) {
        if (count_ > 0) {
            iovec& last = room_[count_ - 1];
            if (static_cast<std::byte*>(last.iov_base) + last.iov_len == piece.data()) {
                last.iov_len += piece.size();
                bytes_ += piece.size();
                return true;
            }
        }
        if (count_ == room_.size()) return false;
        room_[count_++] = {piece.data(), piece.size()};
        bytes_ += piece.size();
        return true;
    }
    [[nodiscard]] std::span<const iovec> pieces() const { return room_.first(count_); }
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

private:
    std::span<iovec> room_;
    std::size_t count_ = 0;
    std::uint64_t bytes_ = 0;
};

} // namespace touka::devices::nvme
