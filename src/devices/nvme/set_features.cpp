// Set Features. (NVM Express Base 2.0 §5.27)
#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "devices/nvme/command_set.hpp"
#include "devices/nvme/controller.hpp"
#include "devices/nvme/feature_set.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;

namespace {

/// §5.27.1.7: the driver asks, and is given what there is. Only before it has made queues.
Outcome set_queue_count(Controller& controller, Request& request) {
    const std::uint32_t submission = request.command.cdw11 & 0xFFFF, completion = request.command.cdw11 >> 16;
    if (submission == 0xFFFF || completion == 0xFFFF) return Status::kInvalidField;
    if (controller.has_io_queues()) return Status::kCommandSequenceError;
    // All that there are, whatever was asked for: a driver takes no more than it wanted.
    const std::uint32_t most = controller.queue_limit() - 2u;
    controller.features().queues = most << 16 | most;
    request.dw0 = controller.features().queues;
    return Status::kSuccess;
}

Outcome set_vector(Controller& controller, std::uint32_t value) {
    const auto vector = static_cast<std::uint16_t>(value);
    if (vector >= controller.vector_limit()) return Status::kInvalidField;
    auto& uncoalesced = controller.features().uncoalesced;
    std::erase(uncoalesced, vector);
    if ((value >> 16 & 1) != 0) uncoalesced.push_back(vector);
    return Status::kSuccess;
}

Outcome set_temperature_threshold(Features& features, std::uint32_t value) {
    if ((value >> 16 & 0xF) != 0) return value >> 16 == 0xF ? Status::kSuccess : Status::kInvalidField; // sensors
    switch (value >> 20 & 0x3) {
        case 0: features.over_temperature = static_cast<std::uint16_t>(value); return Status::kSuccess;
        case 1: features.under_temperature = static_cast<std::uint16_t>(value); return Status::kSuccess;
        default: return Status::kInvalidField;
    }
}

Outcome set_timestamp(Controller& controller, Request& request) {
    std::uint64_t value = 0;
    if (const Status status = controller.receive(request, std::as_writable_bytes(std::span(&value, 1)));
        status != Status::kSuccess) {
        return status;
    }
    Features& features = controller.features();
    features.timestamp_ms = value & 0xFFFF'FFFF'FFFF;
    features.timestamp_set_ns = controller.now_ns();
    features.timestamp_set = true;
    return Status::kSuccess;
}

Outcome set_host_behavior(Controller& controller, Request& request) {
    std::array<std::uint8_t, kHostBehaviorBytes> value{};
    if (const Status status = controller.receive(request, std::as_writable_bytes(std::span(value)));
        status != Status::kSuccess) {
        return status;
    }
    if (value[0] > 1 || value[1] > 1 || value[2] > 1) return Status::kInvalidField;
    controller.features().host_behavior = value;
    return Status::kSuccess;
}

/// §5.27.1.25: once; another one has to wait for a reset.
Outcome set_host_identifier(Controller& controller, Request& request) {
    const bool extended = (request.command.cdw11 & kExtendedHostId) != 0;
    std::array<std::uint8_t, 16> value{};
    const auto bytes = std::as_writable_bytes(std::span(value)).first(extended ? 16 : 8);
    if (const Status status = controller.receive(request, bytes); status != Status::kSuccess) return status;
    Features& features = controller.features();
    const std::array<std::uint8_t, 16> none{};
    if (features.host_id != none && features.host_id != value) return Status::kCommandSequenceError;
    features.host_id = value;
    features.extended_host_id = extended;
    controller.subsystem().set_host(controller,
                                    value == none ? HostIdentity{{}, controller.id()} : HostIdentity{value, 0xFFFF});
    return Status::kSuccess;
}

Outcome set_notification_mask(Controller& controller, const SubmissionEntry& command) {
    auto& masks = controller.features().reservation_masks;
    const auto set = [&](std::uint32_t nsid) {
        if (masks.size() < nsid) masks.resize(nsid);
        masks[nsid - 1] = static_cast<std::uint8_t>(command.cdw11 & 0x0E);
    };
    for (const std::uint32_t nsid : controller.subsystem().namespaces()) {
        if (command.nsid == kAllNamespaces || command.nsid == nsid) set(nsid);
    }
    return Status::kSuccess;
}

} // namespace

Outcome set_features(Controller& controller, Request& request) {
    const SubmissionEntry& command = request.command;
    const auto id = static_cast<FeatureId>(command.cdw10 & 0xFF);
    if (!feature_exists(id)) return Status::kInvalidField;
    if ((command.cdw10 & kSetFeatureSave) != 0) return Status::kFeatureNotSaveable;
    if (feature_of_namespace(id)) {
        if (command.nsid != kAllNamespaces && !controller.attached(command.nsid)) {
            return Status::kInvalidNamespaceOrFormat;
        }
    } else if (command.nsid != 0 && command.nsid != kAllNamespaces) {
        return Status::kFeatureNotNamespaceSpecific;
    }
    Features& features = controller.features();
    switch (id) {
        case FeatureId::kArbitration: features.arbitration = command.cdw11; break;
        case FeatureId::kPowerManagement:
            if ((command.cdw11 & 0x1F) != 0) return Status::kInvalidField; // one power state
            features.power_management = command.cdw11;
            break;
        case FeatureId::kTemperatureThreshold: return set_temperature_threshold(features, command.cdw11);
        case FeatureId::kErrorRecovery:
            if ((command.cdw11 & (1u << 16)) != 0) return Status::kInvalidField; // DULBE, which NSFEAT does not offer
            features.error_recovery = command.cdw11 & 0xFFFF;
            break;
        case FeatureId::kVolatileWriteCache: features.write_cache = (command.cdw11 & 1) != 0; break;
        case FeatureId::kNumberOfQueues: return set_queue_count(controller, request);
        case FeatureId::kInterruptCoalescing:
            features.coalescing_threshold = static_cast<std::uint8_t>(command.cdw11);
            features.coalescing_time = static_cast<std::uint8_t>(command.cdw11 >> 8);
            break;
        case FeatureId::kInterruptVector: return set_vector(controller, command.cdw11);
        case FeatureId::kWriteAtomicity: features.write_atomicity = command.cdw11 & 1; break;
        case FeatureId::kAsyncEvents: features.async_events = command.cdw11; break;
        case FeatureId::kTimestamp: return set_timestamp(controller, request);
        case FeatureId::kHostBehavior: return set_host_behavior(controller, request);
        case FeatureId::kSoftwareProgress: features.software_progress = static_cast<std::uint8_t>(command.cdw11); break;
        case FeatureId::kHostIdentifier: return set_host_identifier(controller, request);
        case FeatureId::kReservationNotificationMask: return set_notification_mask(controller, command);
        case FeatureId::kReservationPersistence:
            // Registrations live as long as the subsystem does: RESCAP does not offer more.
            return (command.cdw11 & 1) != 0 ? Status::kInvalidField : Status::kSuccess;
        case FeatureId::kCommandSetProfile:
            return (command.cdw11 & 0x1FF) != 0 ? Status::kInvalidField : Status::kSuccess;
    }
    return Status::kSuccess;
}

} // namespace touka::devices::nvme
