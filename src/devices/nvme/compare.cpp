// Compare and Verify: the medium is read into memory of ours. (NVM Command Set 1.0 §3.2.1, §3.2.5)
#include <algorithm>
#include <cstring>

#include "devices/nvme/block_range.hpp"
#include "devices/nvme/command_set.hpp"
#include "devices/nvme/controller.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;
using storage::BlockOperation;
using storage::BlockStatus;

namespace {

bool equal(const SegmentList& data, std::span<const std::byte> medium) {
    return std::ranges::all_of(data.pieces(), [&medium](const iovec& piece) {
        const bool same = std::memcmp(piece.iov_base, medium.data(), piece.iov_len) == 0;
        medium = medium.subspan(piece.iov_len);
        return same;
    });
}

void compare_done(Controller& controller, Request& request, BlockStatus status) {
    Status result = read_status(status);
    if (status == BlockStatus::kOk && !equal(request.data, request.bounce)) result = Status::kCompareFailure;
    controller.complete(request, result);
}

Outcome start_compare(Controller& controller, Request& request) {
    const unsigned shift = request.ns->ns->block_shift();
    const BlockRange range = BlockRange::of(request.command);
    const std::uint64_t length = range.length_bytes(shift);
    request.bounce_vector = {request.bounce.data(), length};
    controller.submit(request, BlockOperation::kRead, range.offset_bytes(shift), length,
                      std::span(&request.bounce_vector, 1), compare_done);
    return std::nullopt;
}

void verify_piece(Controller& controller, Request& request, BlockStatus status) {
    const unsigned shift = request.ns->ns->block_shift();
    const BlockRange range = BlockRange::of(request.command);
    const std::uint64_t left = range.length_bytes(shift) - request.position;
    if (status != BlockStatus::kOk || left == 0) return controller.complete(request, read_status(status));
    const std::uint64_t length = std::min<std::uint64_t>(left, request.bounce.size());
    const std::uint64_t at = range.offset_bytes(shift) + request.position;
    request.position += length;
    request.bounce_vector = {request.bounce.data(), length};
    controller.submit(request, BlockOperation::kRead, at, length, std::span(&request.bounce_vector, 1), verify_piece);
}

Outcome start_verify(Controller& controller, Request& request) {
    verify_piece(controller, request, BlockStatus::kOk);
    return std::nullopt;
}

} // namespace

Outcome compare(Controller& controller, Request& request) {
    if (const Status status = controller.open_namespace(request, NamespaceView::kReadable);
        status != Status::kSuccess) {
        return status;
    }
    if (request.ns->ns->has_metadata()) return protected_command(controller, request);
    const Namespace& ns = *request.ns->ns;
    const BlockRange range = BlockRange::of(request.command);
    const std::uint64_t length = range.length_bytes(ns.block_shift());
    if (length > Controller::kTransferBytes) return Status::kInvalidField;
    if (!range.within(ns)) return Status::kLbaOutOfRange;
    const Status status = controller.map(request, length, memory::DmaAccess::kRead);
    if (status != Status::kSuccess) return status;
    controller.charge(length);
    return controller.with_bounce(request, start_compare);
}

Outcome verify(Controller& controller, Request& request) {
    if (const Status status = controller.open_namespace(request, NamespaceView::kReadable);
        status != Status::kSuccess) {
        return status;
    }
    if (request.ns->ns->has_metadata()) return protected_command(controller, request);
    const BlockRange range = BlockRange::of(request.command);
    if (!range.within(*request.ns->ns)) return Status::kLbaOutOfRange;
    controller.charge(range.length_bytes(request.ns->ns->block_shift()));
    return controller.with_bounce(request, start_verify);
}

} // namespace touka::devices::nvme
