#pragma once

#include "scsi/disk/disk_core.hpp"

namespace touka::scsi {

/// READ CAPACITY(10) and (16). (SBC-4 §5.15, §5.16)
/// @param core outlives the commands.  @param thin blocks can be unmapped and then read as zeros.
void add_read_capacity(DiskCore& core, bool thin);

} // namespace touka::scsi
