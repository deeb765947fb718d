// Format NVM: the namespace reads as zeros, in blocks of the size that was asked for. (NVM Express Base 2.0 §5.14)
#include <algorithm>
#include <utility>

#include "devices/nvme/command_set.hpp"
#include "devices/nvme/controller.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;
using storage::BlockStatus;

namespace {

constexpr std::uint64_t kPieceBytes = 1 << 30;

void finish_format(Controller& controller, Request& request, Status status) {
    Namespace& ns = *request.ns->ns;
    if (status == Status::kSuccess) ns.set_format(ns.format_of(request.command.cdw10).value());
    ns.formatting.store(false, std::memory_order_release);
    const std::uint32_t nsid = ns.nsid();
    controller.complete(request, status);
    if (status == Status::kSuccess) controller.subsystem().namespace_changed(nsid, &controller);
}

/// The answer of what works on another reactor. @param then on the controller's.
auto back_to(Controller& controller, Request& request, auto then) {
    return [&controller, &request, then](Status status, std::uint32_t) {
        controller.post([&controller, &request, then, status] { then(controller, request, status); });
    };
}

void format_metadata(Controller& controller, Request& request) {
    const Namespace& ns = *request.ns->ns;
    const auto& metadata = ns.configuration().protection;
    if (!metadata) return finish_format(controller, request, Status::kSuccess);
    const std::uint8_t format = ns.format_of(request.command.cdw10).value();
    metadata->end_format(ns.file_format(format), back_to(controller, request, finish_format));
}

void format_piece(Controller& controller, Request& request, BlockStatus status) {
    if (status != BlockStatus::kOk) return finish_format(controller, request, write_status(status));
    const std::uint64_t size = request.ns->ns->geometry().size_bytes;
    if (request.position == size) return format_metadata(controller, request);
    const std::uint64_t length = std::min(kPieceBytes, size - request.position);
    request.block.force_unit_access = false;
    request.block.may_unmap = true;
    const std::uint64_t at = std::exchange(request.position, request.position + length);
    controller.submit(request, storage::BlockOperation::kWriteZeroes, at, length, {}, format_piece);
}

/// @pre nobody else works on the namespace.
void start_format(Controller& controller, Request& request) {
    const auto& metadata = request.ns->ns->configuration().protection;
    if (!metadata) return format_piece(controller, request, BlockStatus::kOk);
    metadata->begin_format(back_to(controller, request, [](Controller& to, Request& of, Status status) {
        if (status != Status::kSuccess) return finish_format(to, of, status);
        format_piece(to, of, BlockStatus::kOk);
    }));
}

} // namespace

Outcome format_nvm(Controller& controller, Request& request) {
    const std::uint32_t cdw10 = request.command.cdw10;
    if (request.command.nsid == kAllNamespaces) return Status::kInvalidNamespaceOrFormat; // one at a time
    Namespace* const ns = controller.subsystem().find(request.command.nsid);
    if (ns == nullptr) return Status::kInvalidNamespaceOrFormat;
    if (!ns->format_of(cdw10)) return Status::kInvalidFormat;
    if ((cdw10 >> 9 & 0x7) > 1) return Status::kInvalidField; // cryptographic erase
    // Blocks of another size are not for a guest to give to others. (rule T5)
    if (controller.configuration().virtual_function && controller.subsystem().controllers_of(ns->nsid()).size() > 1) {
        return Status::kOperationDenied;
    }
    if (const Status status = controller.open_namespace(request, NamespaceView::kWritable);
        status != Status::kSuccess) {
        return status;
    }
    if (ns->formatting.exchange(true)) return Status::kFormatInProgress;
    request.namespace_use.end(); // it waits for the others
    controller.subsystem().when_quiet(ns->nsid(), nullptr, [&controller, &request] {
        controller.post([&controller, &request] { start_format(controller, request); });
    });
    return std::nullopt;
}

} // namespace touka::devices::nvme
