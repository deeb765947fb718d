#pragma once

#include <functional>

#include "scsi/task.hpp"

namespace touka::scsi {

using spec::scsi::TaskManagementFunction;
using spec::scsi::TaskManagementResponse;

/// A SCSI logical unit: of our own, or a device or an array's unit that everything is passed to. One reactor.
class LogicalUnit {
public:
    virtual ~LogicalUnit() = default;

    /// Takes the task; it completes, perhaps before this returns. @pre the nexus was attached.
    virtual void submit(Task& task) = 0;
    /// Hands what was submitted to whatever does the work; called once after a batch of submits.
    virtual void commit() = 0;

    /// A task management function that concerns this unit and nexus. @param tag of kAbortTask and kQueryTask.
    /// @param done called once, perhaps before this returns, after the last task that it ended has completed; with
    /// kTargetFailure after a bounded time when some do not end: they complete later, as aborted.
    virtual void manage(TaskManagementFunction function, Nexus& nexus, std::uint64_t tag,
                        std::function<void(TaskManagementResponse)> done) = 0;

    /// The nexus comes into being, for this unit; before its first task.
    virtual void attach(Nexus& nexus) = 0;
    /// The nexus goes. @param done called once, when none of its tasks is left in the unit but those that its port has
    /// given up (Task::give_up).
    virtual void detach(Nexus& nexus, std::function<void()> done) = 0;
    /// What REPORT LUNS tells this nexus is different now. (SPC-5 §6.33)
    virtual void inventory_changed(Nexus& nexus) = 0;
    /// The nexus has read it.
    virtual void inventory_reported(Nexus& nexus) = 0;
};

} // namespace touka::scsi
