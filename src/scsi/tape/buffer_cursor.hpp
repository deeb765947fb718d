#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace touka::scsi {

/// Walks over buffers once, from the first byte to the last.
class BufferCursor {
public:
    explicit BufferCursor(std::span<const iovec> buffers) : rest_(buffers) {}

    /// Appends the next `length_bytes` of the buffers to `to`, in as many pieces as they are; fewer where they end.
    void take(std::uint64_t length_bytes, std::vector<iovec>& to) {
        while (length_bytes > 0 && !rest_.empty()) {
            const iovec& buffer = rest_.front();
            const std::uint64_t length = std::min<std::uint64_t>(buffer.iov_len - offset_, length_bytes);
            if (length > 0) to.push_back({static_cast<std::uint8_t*>(buffer.iov_base) + offset_, length});
            length_bytes -= length;
            offset_ += length;
            if (offset_ < buffer.iov_len) continue;
            rest_ = rest_.subspan(1);
            offset_ = 0;
        }
    }

private:
    std::span<const iovec> rest_;
    std::size_t offset_ = 0; // in the first of them
};

} // namespace touka::scsi
