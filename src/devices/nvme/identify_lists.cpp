// The answers of Identify that are lists: of namespaces, of controllers, of what names a namespace.
// (NVM Express Base 2.0 §5.17.2)
#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "devices/nvme/controller.hpp"
#include "devices/nvme/identify.hpp"
#include "devices/nvme/namespace_uuid.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;

namespace {

using Page = std::array<std::byte, kIdentifyBytes>;

Outcome send_page(Controller& controller, Request& request, const Page& page) {
    return controller.send(request, page, page.size());
}

/// §4.4.2: identifiers above the one in the command, ascending, zeros after.
Outcome namespace_list(Controller& controller, Request& request, bool active_only) {
    const std::uint32_t after = request.command.nsid;
    if (after >= 0xFFFF'FFFE) return Status::kInvalidNamespaceOrFormat;
    Page page{};
    std::size_t at = 0;
    for (const std::uint32_t nsid : controller.subsystem().namespaces()) {
        if (nsid <= after || (active_only && !controller.attached(nsid))) continue;
        if (at + 4 > page.size()) break;
        std::memcpy(page.data() + at, &nsid, 4);
        at += 4;
    }
    return send_page(controller, request, page);
}

/// §4.4.1: their number, then identifiers from the one in the command on.
Outcome controller_list(Controller& controller, Request& request, const std::vector<std::uint16_t>& ids) {
    const auto first = static_cast<std::uint16_t>(request.command.cdw10 >> 16);
    Page page{};
    std::uint16_t count = 0;
    for (const std::uint16_t id : ids) {
        if (id < first || count == page.size() / 2 - 1) continue;
        ++count;
        std::memcpy(page.data() + 2 * std::size_t{count}, &id, 2);
    }
    std::memcpy(page.data(), &count, 2);
    return send_page(controller, request, page);
}

/// §5.17.2.3: what names the namespace wherever it is seen.
Outcome namespace_descriptors(Controller& controller, Request& request) {
    if (!controller.attached(request.command.nsid)) return Status::kInvalidNamespaceOrFormat;
    const auto uuid =
        namespace_uuid(controller.subsystem().configuration(), *controller.subsystem().find(request.command.nsid));
    Page page{};
    std::size_t at = 0;
    const auto add = [&](std::uint8_t type, std::span<const std::uint8_t> value) {
        page[at] = std::byte{type};
        page[at + 1] = static_cast<std::byte>(value.size());
        std::memcpy(page.data() + at + 4, value.data(), value.size());
        at += 4 + value.size();
    };
    add(kNidtUuid, uuid);
    const std::array command_set{kCommandSetNvm};
    add(kNidtCommandSet, command_set);
    return send_page(controller, request, page);
}

Outcome primary_capabilities(Controller& controller, Request& request) {
    const auto resources = controller.subsystem().resources(controller.id());
    if (!resources.primary) return Status::kInvalidField;
    return controller.send(request, std::as_bytes(std::span(&*resources.primary, 1)), kIdentifyBytes);
}

Outcome secondary_list(Controller& controller, Request& request) {
    const auto first = static_cast<std::uint16_t>(request.command.cdw10 >> 16);
    Page page{};
    std::uint8_t count = 0;
    for (const auto& each : controller.subsystem().resources(controller.id()).secondaries) {
        if (each.id < first || count == kSecondaryListLimit) continue;
        SecondaryController entry{};
        entry.scid = each.id;
        entry.pcid = controller.id();
        entry.scs = each.online ? 1 : 0;
        entry.vfn = each.virtual_function;
        entry.nvq = each.assigned.queues;
        entry.nvi = each.assigned.vectors;
        std::memcpy(page.data() + kSecondaryListHeader + count * sizeof entry, &entry, sizeof entry);
        ++count;
    }
    page[0] = std::byte{count};
    return send_page(controller, request, page);
}

/// What a virtual function's guest is not to know: controllers and namespaces that are not its own.
bool of_others(Cns cns) {
    switch (cns) {
        case Cns::kAllocatedNamespaces:
        case Cns::kCommandSetAllocatedNamespaces:
        case Cns::kAttachedControllers:
        case Cns::kControllers: return true;
        default: return false;
    }
}

} // namespace

Outcome identify_list(Controller& controller, Request& request, Cns cns) {
    const SubmissionEntry& command = request.command;
    const bool nvm = command.cdw11 >> 24 == kCommandSetNvm;
    if (controller.configuration().virtual_function && of_others(cns)) return Status::kInvalidField;
    switch (cns) {
        case Cns::kActiveNamespaces: return namespace_list(controller, request, true);
        case Cns::kAllocatedNamespaces: return namespace_list(controller, request, false);
        case Cns::kCommandSetActiveNamespaces:
            return nvm ? namespace_list(controller, request, true) : Outcome(Status::kInvalidField);
        case Cns::kCommandSetAllocatedNamespaces:
            return nvm ? namespace_list(controller, request, false) : Outcome(Status::kInvalidField);
        case Cns::kNamespaceDescriptors: return namespace_descriptors(controller, request);
        case Cns::kAttachedControllers:
            if (controller.subsystem().find(command.nsid) == nullptr) return Status::kInvalidNamespaceOrFormat;
            return controller_list(controller, request, controller.subsystem().controllers_of(command.nsid));
        case Cns::kControllers: return controller_list(controller, request, controller.subsystem().controllers());
        case Cns::kPrimaryCapabilities: return primary_capabilities(controller, request);
        case Cns::kSecondaryControllers: return secondary_list(controller, request);
        case Cns::kCommandSets: {
            Page page{}; // one combination: the NVM command set (§5.17.2.21)
            page[0] = std::byte{1};
            return send_page(controller, request, page);
        }
        default: return Status::kInvalidField;
    }
}

} // namespace touka::devices::nvme
