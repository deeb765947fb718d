// Get Features. (NVM Express Base 2.0 §5.15, §5.27.1) Nothing is saveable: defaults are what a reset leaves.
#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "devices/nvme/command_set.hpp"
#include "devices/nvme/controller.hpp"
#include "devices/nvme/feature_set.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;

namespace {

/// Figure 192, for each feature that there is. Nothing: there is none.
std::optional<std::uint32_t> feature_capabilities(FeatureId id) {
    switch (id) {
        case FeatureId::kArbitration:
        case FeatureId::kPowerManagement:
        case FeatureId::kTemperatureThreshold:
        case FeatureId::kVolatileWriteCache:
        case FeatureId::kNumberOfQueues:
        case FeatureId::kInterruptCoalescing:
        case FeatureId::kInterruptVector:
        case FeatureId::kWriteAtomicity:
        case FeatureId::kAsyncEvents:
        case FeatureId::kTimestamp:
        case FeatureId::kHostBehavior:
        case FeatureId::kSoftwareProgress:
        case FeatureId::kHostIdentifier: return kFeatureChangeable;
        case FeatureId::kErrorRecovery:
        case FeatureId::kReservationNotificationMask:
        case FeatureId::kReservationPersistence: return kFeatureChangeable | kFeatureNamespaceSpecific;
        case FeatureId::kCommandSetProfile: return 0;
    }
    return std::nullopt;
}

/// Features whose value is data and not Dword 0.
Outcome send_feature(Controller& controller, Request& request, FeatureId id, const Features& features) {
    switch (id) {
        case FeatureId::kTimestamp: {
            std::uint64_t now = features.timestamp_ms;
            now += (controller.now_ns() - features.timestamp_set_ns) / 1'000'000;
            // §5.27.1.14 figure 332: 48 bits; origin 001b: it was set by the host.
            now = (now & 0xFFFF'FFFF'FFFF) | std::uint64_t{features.timestamp_set ? 1u : 0u} << 49;
            return controller.send(request, std::as_bytes(std::span(&now, 1)), kTimestampBytes);
        }
        case FeatureId::kHostBehavior:
            return controller.send(request, std::as_bytes(std::span(features.host_behavior)), kHostBehaviorBytes);
        case FeatureId::kHostIdentifier: {
            const bool extended = (request.command.cdw11 & kExtendedHostId) != 0;
            return controller.send(request, std::as_bytes(std::span(features.host_id)), extended ? 16 : 8);
        }
        default: return std::nullopt;
    }
}

} // namespace

bool feature_exists(FeatureId id) { return feature_capabilities(id).has_value(); }

bool feature_of_namespace(FeatureId id) {
    return (feature_capabilities(id).value_or(0) & kFeatureNamespaceSpecific) != 0;
}

Outcome get_features(Controller& controller, Request& request) {
    const SubmissionEntry& command = request.command;
    const auto id = static_cast<FeatureId>(command.cdw10 & 0xFF);
    const auto select = static_cast<std::uint8_t>(command.cdw10 >> 8 & 0x7);
    const auto capabilities = feature_capabilities(id);
    if (!capabilities || select > kSelectCapabilities) return Status::kInvalidField;
    if (feature_of_namespace(id) && !controller.attached(command.nsid) && select != kSelectCapabilities) {
        return Status::kInvalidNamespaceOrFormat;
    }
    if (select == kSelectCapabilities) {
        request.dw0 = *capabilities;
        return Status::kSuccess;
    }
    Features reset;
    reset.queues = controller.features().queues;
    const Features& features = select == kSelectCurrent ? controller.features() : reset;
    if (const Outcome sent = send_feature(controller, request, id, features)) return sent;
    switch (id) {
        case FeatureId::kArbitration: request.dw0 = features.arbitration; break;
        case FeatureId::kPowerManagement: request.dw0 = features.power_management; break;
        case FeatureId::kTemperatureThreshold:
            request.dw0 = (command.cdw11 >> 20 & 0x3) == 0 ? features.over_temperature : features.under_temperature;
            break;
        case FeatureId::kErrorRecovery: request.dw0 = features.error_recovery; break;
        case FeatureId::kVolatileWriteCache: request.dw0 = features.write_cache ? 1 : 0; break;
        case FeatureId::kNumberOfQueues: request.dw0 = features.queues; break;
        case FeatureId::kInterruptCoalescing:
            request.dw0 = features.coalescing_threshold | std::uint32_t{features.coalescing_time} << 8;
            break;
        case FeatureId::kInterruptVector: {
            const auto vector = static_cast<std::uint16_t>(command.cdw11);
            if (vector >= controller.vector_limit()) return Status::kInvalidField;
            const bool uncoalesced =
                vector == 0 || std::ranges::find(features.uncoalesced, vector) != features.uncoalesced.end();
            request.dw0 = vector | (uncoalesced ? 1u << 16 : 0);
            break;
        }
        case FeatureId::kWriteAtomicity: request.dw0 = features.write_atomicity; break;
        case FeatureId::kAsyncEvents: request.dw0 = features.async_events; break;
        case FeatureId::kSoftwareProgress: request.dw0 = features.software_progress; break;
        case FeatureId::kReservationNotificationMask:
            request.dw0 =
                command.nsid <= features.reservation_masks.size() ? features.reservation_masks[command.nsid - 1] : 0;
            break;
        case FeatureId::kReservationPersistence:
            request.dw0 = controller.subsystem().reservations(command.nsid).persist ? 1 : 0;
            break;
        default: break; // the command set profile is 0
    }
    return Status::kSuccess;
}

} // namespace touka::devices::nvme
