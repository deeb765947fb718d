#pragma once

#include <scsi/sg.h>

#include <cstdint>
#include <span>

#include "scsi/task.hpp"

namespace touka::scsi {

/// Fills a task's response in from what the kernel says of its command: the device's status, sense data and residual,
/// or that there was no response, by the host status. (Linux: include/scsi/scsi_status.h)
/// @param sense where the kernel wrote sense data.
void take_sg_response(Task& task, const sg_io_hdr& header, std::span<const std::uint8_t> sense);

/// Fills the response in for a command that the kernel did not take. @param error an errno value.
void take_sg_error(Task& task, int error);

} // namespace touka::scsi
