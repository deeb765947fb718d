// Dataset Management: deallocation; the other attributes are hints that nobody takes. (NVM Command Set 1.0 §3.2.3)
#include <cstring>
#include <span>

#include "devices/nvme/block_range.hpp"
#include "devices/nvme/command_set.hpp"
#include "devices/nvme/controller.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;
using storage::BlockOperation;
using storage::BlockStatus;

namespace {

/// The ranges, copied from the guest once.
DatasetRange range_at(const Request& request, std::uint32_t index) {
    DatasetRange range;
    std::memcpy(&range, request.bounce.data() + index * sizeof range, sizeof range);
    return range;
}

void deallocate_next(Controller& controller, Request& request, BlockStatus status) {
    // A volume that cannot do it has done nothing wrong: deallocation is a wish. (§3.2.3.2.1)
    if (status != BlockStatus::kOk && status != BlockStatus::kUnsupported) {
        return controller.complete(request, write_status(status));
    }
    const unsigned shift = request.ns->ns->block_shift();
    const bool able = request.ns->ns->geometry().discard_granularity_bytes > 0 && status == BlockStatus::kOk;
    while (able && request.step < request.step_count) {
        const DatasetRange range = range_at(request, request.step++);
        if (range.block_count == 0) continue;
        request.block.force_unit_access = request.block.may_unmap = false;
        return controller.submit(request, BlockOperation::kDiscard, range.first_lba << shift,
                                 std::uint64_t{range.block_count} << shift, {}, deallocate_next);
    }
    controller.complete(request, Status::kSuccess);
}

Outcome start(Controller& controller, Request& request) {
    const auto bytes = request.bounce.first(request.step_count * sizeof(DatasetRange));
    if (const Status status = controller.receive(request, bytes); status != Status::kSuccess) return status;
    for (std::uint32_t i = 0; i < request.step_count; ++i) {
        const DatasetRange range = range_at(request, i);
        if (!BlockRange{range.first_lba, range.block_count}.within(*request.ns->ns)) return Status::kLbaOutOfRange;
    }
    if ((request.command.cdw11 & kDatasetDeallocate) == 0) return Status::kSuccess;
    deallocate_next(controller, request, BlockStatus::kOk);
    return std::nullopt;
}

} // namespace

Outcome dataset_management(Controller& controller, Request& request) {
    if (const Status status = controller.open_namespace(request, NamespaceView::kWritable);
        status != Status::kSuccess) {
        return status;
    }
    request.step_count = (request.command.cdw10 & 0xFF) + 1;
    if (request.ns->ns->has_metadata()) return protected_command(controller, request);
    return controller.with_bounce(request, start);
}

} // namespace touka::devices::nvme
