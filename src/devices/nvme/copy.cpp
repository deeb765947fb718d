// Copy with source range descriptors of format 0: piece by piece through memory of ours. (NVM Command Set 1.0 §3.2.2)
#include <algorithm>
#include <cstring>
#include <span>

#include "devices/nvme/block_range.hpp"
#include "devices/nvme/command_set.hpp"
#include "devices/nvme/controller.hpp"
#include "devices/nvme/identify.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;
using storage::BlockOperation;
using storage::BlockStatus;

namespace {

// The first bytes of the buffer keep the ranges, the rest moves the data.
constexpr std::size_t kRangesBytes = kCopyRanges * sizeof(CopyRange);
static_assert(kRangesBytes % 4096 == 0);

BlockRange range_at(const Request& request, std::uint32_t index) {
    CopyRange range;
    std::memcpy(&range, request.bounce.data() + index * sizeof range, sizeof range);
    return {range.first_lba, range.block_count + 1u};
}
std::uint64_t destination(const Request& request) {
    return (request.command.cdw10 | std::uint64_t{request.command.cdw11} << 32) << request.ns->ns->block_shift();
}

void read_piece(Controller& controller, Request& request, BlockStatus status);

/// `position` counts the bytes that are at the destination; dw1 those of this range, in blocks.
void write_piece(Controller& controller, Request& request, BlockStatus status) {
    if (status != BlockStatus::kOk) {
        request.dw1 = 0;
        request.dw0 = request.step; // the range that failed (§3.2.2.1)
        return controller.complete(request, read_status(status));
    }
    const std::uint64_t length = request.bounce_vector.iov_len;
    const std::uint64_t at = destination(request) + request.position;
    request.position += length;
    request.dw1 += static_cast<std::uint32_t>(length >> request.ns->ns->block_shift());
    request.block.force_unit_access =
        (request.command.cdw12 & kForceUnitAccess) != 0 || !controller.features().write_cache;
    request.block.may_unmap = false;
    controller.submit(request, BlockOperation::kWrite, at, length, std::span(&request.bounce_vector, 1), read_piece);
}

void read_piece(Controller& controller, Request& request, BlockStatus status) {
    if (status != BlockStatus::kOk) {
        request.dw1 = 0;
        request.dw0 = request.step;
        return controller.complete(request, write_status(status));
    }
    const unsigned shift = request.ns->ns->block_shift();
    BlockRange range = range_at(request, request.step);
    if (request.dw1 == range.block_count) {
        request.dw1 = 0;
        if (++request.step == request.step_count) return controller.complete(request, Status::kSuccess);
        range = range_at(request, request.step);
    }
    range.first_lba += request.dw1;
    const auto room = request.bounce.subspan(kRangesBytes);
    const std::uint64_t length =
        std::min<std::uint64_t>(room.size(), std::uint64_t{range.block_count - request.dw1} << shift);
    request.bounce_vector = {room.data(), length};
    controller.submit(request, BlockOperation::kRead, range.offset_bytes(shift), length,
                      std::span(&request.bounce_vector, 1), write_piece);
}

Outcome start(Controller& controller, Request& request) {
    const auto bytes = request.bounce.first(request.step_count * sizeof(CopyRange));
    if (const Status status = controller.receive(request, bytes); status != Status::kSuccess) return status;
    const Namespace& ns = *request.ns->ns;
    std::uint32_t blocks = 0;
    for (std::uint32_t i = 0; i < request.step_count; ++i) {
        const BlockRange range = range_at(request, i);
        if (range.block_count > kCopyRangeBlocks) return Status::kCommandSizeLimitExceeded;
        if (!range.within(ns)) return Status::kLbaOutOfRange;
        blocks += range.block_count;
    }
    if (blocks > kCopyBlocks) return Status::kCommandSizeLimitExceeded;
    const std::uint64_t first = request.command.cdw10 | std::uint64_t{request.command.cdw11} << 32;
    if (!BlockRange{first, blocks}.within(ns)) return Status::kLbaOutOfRange;
    controller.charge(2 * (std::uint64_t{blocks} << ns.block_shift()));
    read_piece(controller, request, BlockStatus::kOk);
    return std::nullopt;
}

} // namespace

Outcome copy(Controller& controller, Request& request) {
    const Status status = controller.open_namespace(request, NamespaceView::kReadable | NamespaceView::kWritable);
    if (status != Status::kSuccess) return status;
    request.step_count = (request.command.cdw12 & 0xFF) + 1;
    if ((request.command.cdw12 >> 8 & 0xF) != 0) return Status::kInvalidField; // descriptor format
    if (request.step_count > kCopyRanges) return Status::kCommandSizeLimitExceeded;
    if (request.ns->ns->has_metadata()) return protected_command(controller, request);
    return controller.with_bounce(request, start);
}

} // namespace touka::devices::nvme
