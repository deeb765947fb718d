// Namespace Management and Attachment, Virtualization Management. (NVM Express Base 2.0 §5.22, §5.23, §5.28)
#include <array>
#include <span>

#include "devices/nvme/command_set.hpp"
#include "devices/nvme/controller.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;

/// Namespaces are the operator's volumes: all capacity is allocated, and stays so.
Outcome namespace_management(Controller&, Request& request) {
    switch (request.command.cdw10 & 0xF) {
        case 0: return Status::kNamespaceInsufficientCapacity;
        case 1: return Status::kOperationDenied;
        default: return Status::kInvalidField;
    }
}

Outcome namespace_attachment(Controller& controller, Request& request) {
    const std::uint32_t select = request.command.cdw10 & 0xF;
    if (select > 1) return Status::kInvalidField;
    std::array<std::uint16_t, 2048> list{}; // §4.4.1
    if (const Status status = controller.receive(request, std::as_writable_bytes(std::span(list)));
        status != Status::kSuccess) {
        return status;
    }
    const std::size_t count = list[0];
    if (count == 0 || count >= list.size()) return Status::kControllerListInvalid;
    const auto ids = std::span(list).subspan(1, count);
    Subsystem& subsystem = controller.subsystem();
    const std::uint32_t nsid = request.command.nsid;
    return select == 0 ? subsystem.attach(nsid, ids, &controller) : subsystem.detach(nsid, ids, &controller);
}

Outcome virtualization_management(Controller& controller, Request& request) {
    const std::uint32_t cdw10 = request.command.cdw10;
    const auto answer = controller.subsystem().manage(
        controller.id(), static_cast<std::uint8_t>(cdw10 & 0xF), static_cast<std::uint8_t>(cdw10 >> 8 & 0x7),
        static_cast<std::uint16_t>(cdw10 >> 16), static_cast<std::uint16_t>(request.command.cdw11));
    request.dw0 = answer.allocated;
    return answer.status;
}

} // namespace touka::devices::nvme
