// Get Log Page. (NVM Express Base 2.0 §5.16)
#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "devices/nvme/command_set.hpp"
#include "devices/nvme/controller.hpp"
#include "devices/nvme/identify.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;

namespace {

constexpr std::uint16_t kTemperature = 313; // in K: that of a device without one
constexpr std::uint64_t kUnitBlocks = 1000, kNsPerHour = 3'600'000'000'000;

/// What of the page the command wants. (figures 197 to 201)
struct Window {
    std::uint64_t length_bytes, offset_bytes;
    bool keep_event; ///< RAE
};

Window window(const SubmissionEntry& command) {
    const std::uint64_t dwords = (command.cdw10 >> 16 | std::uint64_t{command.cdw11 & 0xFFFF} << 16) + 1;
    return {dwords * 4, command.cdw12 | std::uint64_t{command.cdw13} << 32, (command.cdw10 >> 15 & 1) != 0};
}

/// Bytes past the page's end are undefined: none are sent.
Outcome send_page(Controller& controller, Request& request, std::span<const std::byte> page) {
    const Window wanted = window(request.command);
    if (wanted.offset_bytes % 4 != 0 || wanted.offset_bytes > page.size()) return Status::kInvalidField;
    return controller.send(request, page.subspan(wanted.offset_bytes), wanted.length_bytes);
}
template <class Data>
Outcome send_struct(Controller& controller, Request& request, const Data& data) {
    return send_page(controller, request, std::as_bytes(std::span(&data, 1)));
}

Outcome error_page(Controller& controller, Request& request) {
    std::array<ErrorLogEntry, ControllerLogs::kErrorEntries> page{};
    for (std::size_t age = 0; age < page.size(); ++age) {
        const ControllerLogs::Error* const error = controller.logs().error(age);
        if (error == nullptr) break;
        page[age].error_count = error->count;
        page[age].sqid = error->sqid;
        page[age].cid = error->cid;
        page[age].status_phase = static_cast<std::uint16_t>(error->status << 1);
        page[age].parameter_location = error->parameter_location;
        page[age].lba = error->lba;
        page[age].nsid = error->nsid;
    }
    return send_struct(controller, request, page);
}

Outcome health_page(Controller& controller, Request& request) {
    const ControllerLogs::Counters& counters = controller.logs().counters;
    HealthLog page{};
    page.temperature = kTemperature;
    page.available_spare = 100;
    page.spare_threshold = 10;
    page.data_units_read[0] = (counters.blocks_read + kUnitBlocks - 1) / kUnitBlocks;
    page.data_units_written[0] = (counters.blocks_written + kUnitBlocks - 1) / kUnitBlocks;
    page.host_reads[0] = counters.reads;
    page.host_writes[0] = counters.writes;
    page.power_cycles[0] = counters.power_cycles;
    page.power_on_hours[0] = (counters.power_on_ns + controller.powered_ns()) / kNsPerHour;
    page.unsafe_shutdowns[0] = counters.unsafe_shutdowns;
    page.media_errors[0] = counters.media_errors;
    page.error_entries[0] = controller.logs().error_count();
    return send_struct(controller, request, page);
}

Outcome firmware_page(Controller& controller, Request& request) {
    FirmwareLog page{};
    page.active_slot = 1;
    page.revisions[0].fill(' ');
    std::copy_n(kFirmwareRevision, sizeof kFirmwareRevision - 1, page.revisions[0].begin());
    return send_struct(controller, request, page);
}

Outcome changed_namespaces_page(Controller& controller, Request& request, bool keep) {
    std::array<std::uint32_t, kChangedNamespaceLimit> page{};
    std::ranges::copy(controller.logs().changed_namespaces(!keep), page.begin());
    return send_struct(controller, request, page);
}

Outcome effects_page(Controller& controller, Request& request) {
    EffectsLog page{};
    for (const Command& command : admin_commands()) {
        if (controller.offers(command)) page.admin[command.opcode] = kEffectSupported | command.effects;
    }
    for (const Command& command : io_commands()) page.io[command.opcode] = kEffectSupported | command.effects;
    return send_struct(controller, request, page);
}

Outcome supported_pages(Controller& controller, Request& request) {
    std::array<std::uint32_t, 256> page{}; // bit 0: LSUPP (§5.16.1.1)
    for (const LogId id : {LogId::kSupportedPages, LogId::kErrors, LogId::kHealth, LogId::kFirmwareSlots,
                           LogId::kChangedNamespaces, LogId::kCommandEffects, LogId::kReservations}) {
        page[static_cast<std::size_t>(id)] = 1;
    }
    return send_struct(controller, request, page);
}

Outcome dispatch(Controller& controller, Request& request, LogId id, bool keep) {
    switch (id) {
        case LogId::kSupportedPages: return supported_pages(controller, request);
        case LogId::kErrors: return error_page(controller, request);
        case LogId::kHealth:
            // One page for the controller; none for single namespaces (LPA bit 0).
            if (request.command.nsid != 0 && request.command.nsid != kAllNamespaces) return Status::kInvalidField;
            return health_page(controller, request);
        case LogId::kFirmwareSlots: return firmware_page(controller, request);
        case LogId::kChangedNamespaces: return changed_namespaces_page(controller, request, keep);
        case LogId::kCommandEffects: return effects_page(controller, request);
        case LogId::kReservations:
            return send_struct(controller, request, controller.logs().take_reservation_notice(keep));
    }
    return Status::kInvalidLogPage;
}

} // namespace

Outcome get_log_page(Controller& controller, Request& request) {
    const auto id = static_cast<LogId>(request.command.cdw10 & 0xFF);
    const Window wanted = window(request.command);
    if (wanted.length_bytes > Controller::kTransferBytes) return Status::kInvalidField;
    if ((request.command.cdw14 & (1u << 23)) != 0) return Status::kInvalidField; // OT: offsets count entries
    const Outcome outcome = dispatch(controller, request, id, wanted.keep_event);
    if (outcome != Status::kSuccess || wanted.keep_event) return outcome;
    controller.complete(request, Status::kSuccess); // before the events that were masked until now
    controller.events().log_page_read(id);
    controller.tell_events();
    return std::nullopt;
}

} // namespace touka::devices::nvme
