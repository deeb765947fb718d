// The commands that go to the volume as they are: Read, Write, Flush, Write Zeroes. (NVM Command Set 1.0 §3.2; Base 2.0
// §7.1)
#include "devices/nvme/block_range.hpp"
#include "devices/nvme/command_set.hpp"
#include "devices/nvme/controller.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;
using memory::DmaAccess;
using storage::BlockOperation;
using storage::BlockStatus;

namespace {

constexpr unsigned kSectorShift = 9; // what the health log counts in

void read_done(Controller& controller, Request& request, BlockStatus status) {
    if (status == BlockStatus::kOk) {
        controller.stored(request);
        ++controller.logs().counters.reads;
        controller.logs().counters.blocks_read += request.block.length_bytes >> kSectorShift;
    }
    controller.complete(request, read_status(status));
}

void write_done(Controller& controller, Request& request, BlockStatus status) {
    if (status == BlockStatus::kOk) {
        ++controller.logs().counters.writes;
        controller.logs().counters.blocks_written += request.block.length_bytes >> kSectorShift;
    }
    controller.complete(request, write_status(status));
}

void done(Controller& controller, Request& request, BlockStatus status) {
    controller.complete(request, write_status(status));
}

Outcome transfer(Controller& controller, Request& request, BlockOperation operation) {
    const bool reads = operation == BlockOperation::kRead;
    const std::uint8_t needed = reads ? NamespaceView::kReadable : NamespaceView::kWritable;
    if (const Status status = controller.open_namespace(request, needed); status != Status::kSuccess) return status;
    if (request.ns->ns->has_metadata()) return protected_command(controller, request);
    const Namespace& ns = *request.ns->ns;
    const BlockRange range = BlockRange::of(request.command);
    const unsigned shift = ns.block_shift();
    if (range.length_bytes(shift) > Controller::kTransferBytes) return Status::kInvalidField; // MDTS
    if (!range.within(ns)) return Status::kLbaOutOfRange;
    const Status mapped =
        controller.map(request, range.length_bytes(shift), reads ? DmaAccess::kWrite : DmaAccess::kRead);
    if (mapped != Status::kSuccess) return mapped;
    request.block.force_unit_access =
        !reads && ((request.command.cdw12 & kForceUnitAccess) != 0 || !controller.features().write_cache);
    request.block.may_unmap = false;
    controller.charge(range.length_bytes(shift));
    controller.submit(request, operation, range.offset_bytes(shift), range.length_bytes(shift), request.data.pieces(),
                      reads ? read_done : write_done);
    return std::nullopt;
}

// --- Flush of all namespaces: one after the other ---

void flush_next(Controller& controller, Request& request, BlockStatus status) {
    if (status != BlockStatus::kOk) return controller.complete(request, write_status(status));
    request.namespace_use.end();
    while (request.step < controller.subsystem().configuration().namespace_limit) {
        request.command.nsid = ++request.step;
        if (!controller.attached(request.step)) continue;
        const Status opened = controller.open_namespace(request, NamespaceView::kWritable);
        if (opened == Status::kNamespaceWriteProtected) continue;
        if (opened != Status::kSuccess) return controller.complete(request, opened);
        return controller.submit(request, BlockOperation::kFlush, 0, 0, {}, flush_next);
    }
    controller.complete(request, Status::kSuccess);
}

} // namespace

Outcome read(Controller& controller, Request& request) { return transfer(controller, request, BlockOperation::kRead); }

Outcome write(Controller& controller, Request& request) {
    return transfer(controller, request, BlockOperation::kWrite);
}

Outcome flush(Controller& controller, Request& request) {
    request.block.force_unit_access = request.block.may_unmap = false;
    if (request.command.nsid == kAllNamespaces) {
        flush_next(controller, request, BlockStatus::kOk);
        return std::nullopt;
    }
    const Status status = controller.open_namespace(request, NamespaceView::kWritable);
    if (status == Status::kNamespaceWriteProtected) return Status::kSuccess; // there is nothing to flush
    if (status != Status::kSuccess) return status;
    controller.submit(request, BlockOperation::kFlush, 0, 0, {}, done);
    return std::nullopt;
}

Outcome write_zeroes(Controller& controller, Request& request) {
    if (const Status status = controller.open_namespace(request, NamespaceView::kWritable);
        status != Status::kSuccess) {
        return status;
    }
    if (request.ns->ns->has_metadata()) return protected_command(controller, request);
    const Namespace& ns = *request.ns->ns;
    const BlockRange range = BlockRange::of(request.command);
    if (!range.within(ns)) return Status::kLbaOutOfRange;
    const unsigned shift = ns.block_shift();
    request.block.force_unit_access =
        (request.command.cdw12 & kForceUnitAccess) != 0 || !controller.features().write_cache;
    request.block.may_unmap = (request.command.cdw12 & kDeallocate) != 0;
    controller.submit(request, BlockOperation::kWriteZeroes, range.offset_bytes(shift), range.length_bytes(shift), {},
                      done);
    return std::nullopt;
}

} // namespace touka::devices::nvme
