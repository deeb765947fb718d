// A SCSI target device: nexuses and the way from a LUN to its unit. (SAM-6 §4.6, §4.7, §5.11)
#pragma once

#include <functional>
#include <list>
#include <vector>

#include "scsi/logical_unit.hpp"
#include "scsi/nexus.hpp"
#include "scsi/task.hpp"

namespace touka::scsi {

/// Routes tasks and task management from ports to units, and answers for LUNs where there is none. REPORT LUNS is the
/// target's, since it is about what this initiator may see. Everything on one reactor; units outlive the target.
class Target {
public:
    /// Makes a nexus. @pre none of that name exists.  @param units ascending by LUN.
    /// @return the nexus, owned by the target until `close` is done.
    [[nodiscard]] Nexus& open(NexusName name, std::vector<MappedUnit> units);
    /// Ends a nexus: its tasks are aborted. @param done called once when they have completed and the nexus is no more.
    void close(Nexus& nexus, std::function<void()> done);
    /// @return the nexus of that name, if there is one that is not being closed.
    [[nodiscard]] Nexus* find(const NexusName& name);
    /// Masking changed: units that went are detached, new ones attached, the others told. (SPC-5 §6.33)
    void remap(Nexus& nexus, std::vector<MappedUnit> units);

    void submit(Task& task);
    /// Once after a batch of submits.
    void commit();
    /// @param lun the unit's, where the function has one.  @param tag of kAbortTask and kQueryTask.
    void manage(TaskManagementFunction function, Nexus& nexus, Lun lun, std::uint64_t tag,
                std::function<void(TaskManagementResponse)> done);

private:
    struct OpenNexus {
        Nexus nexus;
        bool closing = false;
        std::size_t detaching = 0; // units that may still have tasks of the nexus
        std::function<void()> closed{};
    };
    [[nodiscard]] std::list<OpenNexus>::iterator find_open(const Nexus& nexus);
    void detached(std::list<OpenNexus>::iterator open);

    std::list<OpenNexus> nexuses_; // addresses stay
    std::uint32_t next_index_ = 0;
    std::vector<LogicalUnit*> touched_; // submitted to since the last commit
};

} // namespace touka::scsi
