#include "scsi/device_server/target_port_groups.hpp"

#include <algorithm>

#include "scsi/parameter_data.hpp"
#include "spec/scsi/operation.hpp"

namespace touka::scsi {

using namespace spec::scsi;

namespace {

// What a group's descriptor says it can be: all states but offline and transitioning. (SPC-5 §6.36)
constexpr std::uint8_t kSupportedStates = 0x0F;
constexpr std::uint8_t kExplicitlyAltered = 1, kImplicitlyAltered = 2;

/// Commands that standby ports must serve, and unavailable ones. (SPC-5 §5.17.2.5, §5.17.2.6)
bool served_in(AccessState state, const Cdb& cdb) {
    using namespace operation;
    switch (cdb.operation_code()) {
        case kInquiry:
        case kReportLuns:
        case kRequestSense:
        case kMaintenanceIn:
        case kMaintenanceOut:
        case kReadBuffer:
        case kWriteBuffer: return true;
        case kLogSelect:
        case kLogSense:
        case kModeSelect6:
        case kModeSelect10:
        case kModeSense6:
        case kModeSense10:
        case kReceiveDiagnosticResults:
        case kSendDiagnostic:
        case kPersistentReserveIn:
        case kPersistentReserveOut: return state == AccessState::kStandby;
        default: return false;
    }
}

} // namespace

TargetPortGroups::TargetPortGroups(DeviceServer& server, const std::vector<TargetPort>& ports) : server_(server) {
    for (const TargetPort& port : ports) {
        if (port.group != 0) groups_[port.group].ports.push_back(port.relative);
    }
    using namespace operation;
    server.add({.service_action = service_action::kReportTargetPortGroups,
                .usage = {kMaintenanceIn, 0xFF, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0},
                .reservation = always_allowed,
                .despite_not_ready = true,
                .execute = [this](Task& task) { report(task); }});
    server.add({.service_action = service_action::kSetTargetPortGroups,
                .usage = {kMaintenanceOut, 0x1F, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0},
                .despite_not_ready = true,
                .execute = [this](Task& task) { set(task); }});
    server.add_gate([this](const Task& task) { return check(task); });
}

std::optional<Sense> TargetPortGroups::check(const Task& task) const {
    for (const auto& [number, group] : groups_) {
        if (group.state <= AccessState::kActiveNonOptimized) continue;
        if (std::ranges::find(group.ports, task.nexus->name.target_port) == group.ports.end()) continue;
        if (served_in(group.state, task.cdb)) return std::nullopt;
        return Sense::not_ready(group.state == AccessState::kStandby ? SenseCode::kTargetPortInStandbyState
                                                                     : SenseCode::kTargetPortInUnavailableState);
    }
    return std::nullopt;
}

void TargetPortGroups::report(Task& task) {
    const auto format = static_cast<unsigned>(task.cdb[1] >> 5);
    if (format > 1) return server_.check(task, Sense::invalid_field_in_cdb(1, std::uint8_t{7}));
    ParameterData data;
    data.number(0, 4);
    if (format == 1) data.byte(0x10).zeros(3); // extended header, no implicit transition time
    for (const auto& [number, group] : groups_) {
        data.byte(static_cast<std::uint8_t>(group.state)).byte(kSupportedStates).number(number, 2).zeros(1);
        data.byte(group.status_code).zeros(1).byte(group.ports.size());
        for (const RelativeTargetPort port : group.ports) data.zeros(2).number(port, 2);
    }
    data.set(0, data.size() - 4, 4);
    server_.reply(task, data.view(), task.cdb.number(6, 4));
}

void TargetPortGroups::set(Task& task) {
    const std::uint64_t length = task.cdb.number(6, 4);
    if (length == 0) return server_.good(task);
    if (length < 8 || length > 4 + 4 * std::uint64_t{0xFFFF}) {
        return server_.check(task, Sense::illegal_request(SenseCode::kParameterListLengthError));
    }
    const auto list = DeviceServer::parameters(task, length);
    if (list.size() < length || (length - 4) % 4 != 0) {
        return server_.check(task, Sense::illegal_request(SenseCode::kParameterListLengthError));
    }
    std::map<std::uint16_t, AccessState> wanted;
    for (std::size_t at = 4; at < list.size(); at += 4) {
        const auto state = static_cast<AccessState>(list[at] & 0x0F);
        const auto number = static_cast<std::uint16_t>(load_number(std::span(list).subspan(at + 2, 2)));
        if (state > AccessState::kUnavailable || !groups_.contains(number)) {
            const auto field = static_cast<std::uint16_t>(state > AccessState::kUnavailable ? at : at + 2);
            return server_.check(task, Sense::invalid_field_in_parameters(field));
        }
        wanted[number] = state;
    }
    for (const auto& [number, state] : wanted) {
        groups_.at(number).state = state;
        groups_.at(number).status_code = kExplicitlyAltered;
    }
    server_.attentions().establish_for_others(&task.nexus->name, SenseCode::kAsymmetricAccessStateChanged);
    server_.good(task);
}

void TargetPortGroups::set_state(std::uint16_t group, AccessState state) {
    groups_.at(group).state = state;
    groups_.at(group).status_code = kImplicitlyAltered;
    server_.attentions().establish_for_others(nullptr, SenseCode::kAsymmetricAccessStateChanged);
}

} // namespace touka::scsi
