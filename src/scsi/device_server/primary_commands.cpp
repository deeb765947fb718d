#include "scsi/device_server/primary_commands.hpp"

#include "spec/scsi/operation.hpp"

namespace touka::scsi {

using namespace spec::scsi;

namespace {

void request_sense(DeviceServer& server, Task& task) {
    Sense sense;
    if (const auto code = server.attentions().take(task.nexus->name)) {
        sense = Sense::unit_attention(*code);
    } else if (const auto not_ready = server.readiness()) {
        sense = *not_ready;
    }
    const auto format = task.cdb.bit(1, 0) ? SenseFormat::kDescriptor : SenseFormat::kFixed;
    server.reply(task, encode(sense, format).bytes(), task.cdb[4]);
}

/// The default self-test alone, which a unit without moving parts passes. (SPC-5 §6.42 table 305)
void send_diagnostic(DeviceServer& server, Task& task) {
    if (task.cdb.number(3, 2) != 0) return server.check(task, Sense::invalid_field_in_cdb(3));
    server.good(task);
}

} // namespace

void add_primary_commands(DeviceServer& server) {
    using namespace operation;
    server.add({.usage = {kTestUnitReady, 0, 0, 0, 0, 0},
                .reservation = always_allowed,
                .execute = [&server](Task& task) { server.good(task); }});
    server.add({.usage = {kRequestSense, 0x01, 0, 0, 0xFF, 0},
                .reservation = always_allowed,
                .despite_unit_attention = true,
                .despite_not_ready = true,
                .execute = [&server](Task& task) { request_sense(server, task); }});
    server.add({.usage = {kSendDiagnostic, 0x04, 0, 0xFF, 0xFF, 0},
                .execute = [&server](Task& task) { send_diagnostic(server, task); }});
}

} // namespace touka::scsi
