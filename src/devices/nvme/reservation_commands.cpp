// Reservation Register, Acquire, Release and Report. (NVM Express Base 2.0 §7.2 to §7.5)
#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "devices/nvme/command_set.hpp"
#include "devices/nvme/controller.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;

namespace {

struct Action {
    std::uint8_t action;
    bool ignore_existing_key;
    ReservationType type;
};

Action parse(const SubmissionEntry& command) {
    return {static_cast<std::uint8_t>(command.cdw10 & 0x7), (command.cdw10 & kIgnoreExistingKey) != 0,
            static_cast<ReservationType>(command.cdw10 >> 8 & 0xFF)};
}

template <class Keys>
Status open(Controller& controller, Request& request, Keys& keys) {
    if (const Status status = controller.open_namespace(request, 0); status != Status::kSuccess) return status;
    return controller.receive(request, std::as_writable_bytes(std::span(&keys, 1)));
}

} // namespace

Outcome reservation_register(Controller& controller, Request& request) {
    ReservationKeys keys{};
    if (const Status status = open(controller, request, keys); status != Status::kSuccess) return status;
    const auto [action, ignore, type] = parse(request.command);
    const auto persist = static_cast<std::uint8_t>(request.command.cdw10 >> 30);
    if (persist == kPersistOn) return Status::kInvalidField; // RESCAP does not offer it
    return controller.subsystem()
        .reserve(controller, request.command.nsid,
                 [&](Reservations& reservations, const HostIdentity& host) {
                     return reservations.register_key(host, action, ignore, persist, keys);
                 })
        .status;
}

Outcome reservation_acquire(Controller& controller, Request& request) {
    ReservationKeys keys{};
    if (const Status status = open(controller, request, keys); status != Status::kSuccess) return status;
    const auto [action, ignore, type] = parse(request.command);
    if (ignore) return Status::kInvalidField; // IEKEY, since 1.3
    const auto result = controller.subsystem().reserve(controller, request.command.nsid,
                                                       [&](Reservations& reservations, const HostIdentity& host) {
                                                           return reservations.acquire(host, action, type, keys);
                                                       });
    if (result.status != Status::kSuccess || action != kPreemptAndAbort || result.preempted.empty()) {
        return result.status;
    }
    // What the preempted hosts had begun comes to its end before this command does. (§8.19.7)
    request.namespace_use.end();
    controller.subsystem().when_quiet(request.command.nsid, &result.preempted, [&controller, &request] {
        controller.post([&controller, &request] { controller.complete(request, Status::kSuccess); });
    });
    return std::nullopt;
}

Outcome reservation_release(Controller& controller, Request& request) {
    std::uint64_t key = 0;
    if (const Status status = open(controller, request, key); status != Status::kSuccess) return status;
    const auto [action, ignore, type] = parse(request.command);
    if (ignore) return Status::kInvalidField;
    return controller.subsystem()
        .reserve(controller, request.command.nsid,
                 [&](Reservations& reservations, const HostIdentity& host) {
                     return reservations.release(host, action, type, key);
                 })
        .status;
}

Outcome reservation_report(Controller& controller, Request& request) {
    if (const Status status = controller.open_namespace(request, 0); status != Status::kSuccess) return status;
    const bool extended = (request.command.cdw11 & kExtendedStatus) != 0;
    // Hosts with identifiers of 16 bytes do not fit into the short form. (§7.5)
    if (!extended && controller.features().extended_host_id) return Status::kHostIdInconsistentFormat;
    const Reservations::State state = controller.subsystem().reservations(request.command.nsid);
    const auto hosts = controller.subsystem().hosts();

    std::vector<std::byte> page(extended ? kExtendedStatusHeader : sizeof(ReservationStatus));
    const auto append = [&page](const auto& entry) {
        const auto bytes = std::as_bytes(std::span(&entry, 1));
        page.insert(page.end(), bytes.begin(), bytes.end());
    };
    ReservationStatus header{};
    header.generation = state.generation;
    header.type = static_cast<std::uint8_t>(state.type);
    for (const Reservations::Registrant& each : state.registrants) {
        // One entry for each controller of the host; FFFFh for a host that has none just now.
        std::vector<std::uint16_t> controllers;
        for (const auto& [id, host] : hosts) {
            if (host == each.host) controllers.push_back(id);
        }
        if (controllers.empty()) controllers.push_back(0xFFFF);
        const bool everybody = state.type == ReservationType::kWriteExclusiveAllRegistrants ||
                               state.type == ReservationType::kExclusiveAccessAllRegistrants;
        const std::uint8_t holder = everybody || state.holder == each.host ? 1 : 0;
        for (const std::uint16_t id : controllers) {
            if (extended) {
                append(ExtendedRegistrant{id, holder, {}, each.key, each.host.id, {}});
            } else {
                Registrant entry{id, holder, {}, 0, each.key};
                std::memcpy(&entry.host_id, each.host.id.data(), sizeof entry.host_id);
                append(entry);
            }
            ++header.registrants;
        }
    }
    std::memcpy(page.data(), &header, sizeof header);
    const std::uint64_t room = (std::uint64_t{request.command.cdw10} + 1) * 4;
    return controller.send(request, page, room);
}

} // namespace touka::devices::nvme
