#pragma once

#include <cstdint>

#include "scsi/iscsi/buffer_pool.hpp"
#include "scsi/iscsi/iscsi_task.hpp"

namespace touka::scsi::iscsi {

/// What commands are made of: the memory for their data, and the tasks. Shared by the network entity and by tasks that
/// were given up, which the host may still read or fill when there is no entity any more. One reactor.
struct TaskStore {
    explicit TaskStore(std::uint64_t memory_bytes) : buffers(memory_bytes) {}

    BufferPool buffers;
    TaskPool tasks;
};

} // namespace touka::scsi::iscsi
