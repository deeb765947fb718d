#pragma once

#include "scsi/device_server/device_server.hpp"

namespace touka::scsi {

/// TEST UNIT READY, REQUEST SENSE and SEND DIAGNOSTIC, which every device has. (SPC-5 §6.48, §6.39, §6.42)
/// @param server outlives itself: commands refer to it.
void add_primary_commands(DeviceServer& server);

/// REPORT SUPPORTED OPERATION CODES and REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS, which answer from the server's own
/// table, so that they cannot be wrong. (SPC-5 §6.34, §6.35)
void add_report_supported(DeviceServer& server);

} // namespace touka::scsi
