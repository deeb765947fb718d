#include "scsi/task.hpp"

#include <algorithm>
#include <cstring>

namespace touka::scsi {

namespace {

/// Calls `copy(memory, done, length)` for each piece of `buffers` from `offset_bytes` on, `total` bytes at most.
template <class Copy>
std::size_t for_pieces(std::span<const iovec> buffers, std::uint64_t offset_bytes, std::size_t total, Copy copy) {
    std::size_t done = 0;
    for (const iovec& buffer : buffers) {
        if (done == total) break;
        if (offset_bytes >= buffer.iov_len) {
            offset_bytes -= buffer.iov_len;
            continue;
        }
        const std::size_t length = std::min<std::size_t>(buffer.iov_len - offset_bytes, total - done);
        copy(static_cast<std::uint8_t*>(buffer.iov_base) + offset_bytes, done, length);
        done += length;
        offset_bytes = 0;
    }
    return done;
}

} // namespace

std::size_t copy_from(std::span<const iovec> buffers, std::uint64_t offset_bytes, std::span<std::uint8_t> to) {
    return for_pieces(buffers, offset_bytes, to.size(),
                      [&](const std::uint8_t* memory, std::size_t done, std::size_t length) {
                          std::memcpy(to.data() + done, memory, length);
                      });
}

std::size_t copy_to(std::span<const iovec> buffers, std::uint64_t offset_bytes, std::span<const std::uint8_t> from) {
    return for_pieces(buffers, offset_bytes, from.size(),
                      [&](std::uint8_t* memory, std::size_t done, std::size_t length) {
                          std::memcpy(memory, from.data() + done, length);
                      });
}

Status put_parameter_data(Task& task, std::span<const std::uint8_t> data, std::uint64_t allocation_length) {
    task.transfer_bytes = std::min<std::uint64_t>(data.size(), allocation_length);
    const std::uint64_t length = std::min(task.transfer_bytes, task.data_in_limit_bytes);
    if (length == 0) return Status::kGood;
    const auto memory = task.data_in(length);
    if (memory.empty()) return Status::kBusy;
    task.data_in_bytes = copy_to(memory, 0, data.first(length));
    return Status::kGood;
}

} // namespace touka::scsi
