#include "scsi/device_server/primary_commands.hpp"
#include "scsi/parameter_data.hpp"
#include "spec/scsi/operation.hpp"

namespace touka::scsi {

using namespace spec::scsi;

namespace {

constexpr std::size_t kTimeoutsDescriptorBytes = 12;

/// Neither a nominal nor a recommended timeout is told. (SPC-5 §6.34.4)
void add_timeouts(ParameterData& data) {
    data.number(kTimeoutsDescriptorBytes - 2, 2).zeros(kTimeoutsDescriptorBytes - 2);
}

/// (SPC-5 §6.34.2)
std::vector<std::uint8_t> all_commands(const CommandSet& commands, bool timeouts) {
    constexpr std::uint8_t kTimeoutsPresent = 0x02, kServiceActionValid = 0x01;
    ParameterData data;
    data.number(0, 4);
    for (const Command& command : commands.all()) {
        data.byte(command.operation_code()).zeros(1).number(command.service_action.value_or(0), 2).zeros(1);
        data.byte((timeouts ? kTimeoutsPresent : 0) | (command.service_action ? kServiceActionValid : 0));
        data.number(command.usage.size(), 2);
        if (timeouts) add_timeouts(data);
    }
    data.set(0, data.size() - 4, 4);
    return data.take();
}

/// (SPC-5 §6.34.3)  @param command null for one that is not supported.
std::vector<std::uint8_t> one_command(const Command* command, bool timeouts) {
    constexpr std::uint8_t kNotSupported = 0x01, kAsInStandard = 0x03, kTimeoutsPresent = 0x80;
    ParameterData data;
    data.zeros(1);
    if (command == nullptr) return data.byte(kNotSupported).number(0, 2).take();
    data.byte(kAsInStandard | (timeouts ? kTimeoutsPresent : 0));
    auto usage = command->usage;
    if (command->service_action && command->operation_code() != operation::kVariableLength) { // its value, not its mask
        usage[1] = static_cast<std::uint8_t>((usage[1] & 0xE0) | *command->service_action);
    }
    data.number(usage.size(), 2).bytes(usage);
    if (timeouts) add_timeouts(data);
    return data.take();
}

void report_operation_codes(DeviceServer& server, Task& task) {
    enum Option : std::uint8_t { kAll = 0, kWithoutServiceAction = 1, kWithServiceAction = 2, kEither = 3 };
    const Cdb& cdb = task.cdb;
    const bool timeouts = cdb.bit(2, 7);
    const std::uint8_t code = cdb[3];
    const auto service_action = static_cast<std::uint16_t>(cdb.number(4, 2));
    const std::uint64_t allocation_length = cdb.number(6, 4);
    const auto& commands = server.commands();
    const bool has_actions = has_service_action(code) && commands.has(code);
    switch (cdb[2] & 0x07) {
        case kAll: return server.reply(task, all_commands(commands, timeouts), allocation_length);
        case kWithoutServiceAction:
            if (has_actions) return server.check(task, Sense::invalid_field_in_cdb(2, std::uint8_t{2}));
            return server.reply(task, one_command(commands.find(code, 0), timeouts), allocation_length);
        case kWithServiceAction:
            if (commands.has(code) && !has_actions) {
                return server.check(task, Sense::invalid_field_in_cdb(2, std::uint8_t{2}));
            }
            [[fallthrough]];
        case kEither: {
            const bool wrong_action = !has_actions && service_action != 0;
            const Command* const command = wrong_action ? nullptr : commands.find(code, service_action);
            return server.reply(task, one_command(command, timeouts), allocation_length);
        }
        default: return server.check(task, Sense::invalid_field_in_cdb(2, std::uint8_t{2}));
    }
}

/// (SPC-5 §6.35)
void report_task_management(DeviceServer& server, Task& task) {
    constexpr std::uint8_t kAbortTask = 0x80, kAbortTaskSet = 0x40, kClearTaskSet = 0x10, kLogicalUnitReset = 0x08,
                           kQueryTask = 0x04, kTargetReset = 0x02;
    constexpr std::uint8_t kQueryAsynchronousEvent = 0x04, kQueryTaskSet = 0x02, kItNexusReset = 0x01;
    const bool extended = task.cdb.bit(2, 7);
    if (task.cdb.number(6, 4) < 4) return server.check(task, Sense::invalid_field_in_cdb(6));
    ParameterData data;
    data.byte(kAbortTask | kAbortTaskSet | kClearTaskSet | kLogicalUnitReset | kQueryTask | kTargetReset);
    data.byte(kQueryAsynchronousEvent | kQueryTaskSet | kItNexusReset).zeros(1).byte(extended ? 0x0C : 0);
    if (extended) data.zeros(12); // no timeouts are told
    server.reply(task, data.view(), task.cdb.number(6, 4));
}

} // namespace

void add_report_supported(DeviceServer& server) {
    using namespace operation;
    server.add({.service_action = service_action::kReportSupportedOperationCodes,
                .usage = {kMaintenanceIn, 0x1F, 0x87, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0},
                .reservation = always_allowed,
                .despite_not_ready = true,
                .execute = [&server](Task& task) { report_operation_codes(server, task); }});
    server.add({.service_action = service_action::kReportSupportedTaskManagementFunctions,
                .usage = {kMaintenanceIn, 0x1F, 0x80, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0},
                .reservation = always_allowed,
                .despite_not_ready = true,
                .execute = [&server](Task& task) { report_task_management(server, task); }});
}

} // namespace touka::scsi
