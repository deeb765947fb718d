// What an IscsiUnit knows of a command and of a task management function while they last.
#pragma once

#include <cstddef> // which the next one needs and does not include
#include <cstdint>

#include <iscsi/scsi-lowlevel.h>

#include <functional>
#include <vector>

#include "scsi/passthrough/iscsi_unit.hpp"

namespace touka::scsi {

struct IscsiUnit::Command {
    IscsiUnit& unit;
    Task* task = nullptr;
    scsi_task* native = nullptr;
    std::vector<scsi_iovec> buffers{};
    std::uint64_t deadline_ns = 0; // of waiting
    bool aborted = false;          // its end is an abort
};

struct IscsiUnit::Function {
    IscsiUnit& unit;
    TaskManagementFunction function;
    const Nexus* nexus;
    std::uint64_t tag;
    std::function<void(TaskManagementResponse)> done{};
    std::uint64_t deadline_ns = 0;
};

} // namespace touka::scsi
