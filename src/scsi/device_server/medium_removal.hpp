#pragma once

#include <set>

#include "scsi/device_server/device_server.hpp"

namespace touka::scsi {

/// PREVENT ALLOW MEDIUM REMOVAL: which nexuses prevent it. (SBC-4 §5.17, SSC-5 §7.5, SMC-3 §6.9)
class MediumRemoval final : public UnitEvents {
public:
    /// Adds the command. @param server outlives this.
    explicit MediumRemoval(DeviceServer& server);
    [[nodiscard]] bool prevented() const { return !preventing_.empty(); }

    void logical_unit_reset() override { preventing_.clear(); }
    void nexus_lost(const NexusName& nexus) override { preventing_.erase(nexus); }
    /// A persistent reservation's PREEMPT AND ABORT ends what the preempted nexus prevented. (SPC-5 §5.14.11.2.7)
    void nexus_preempted(const NexusName& nexus) override { preventing_.erase(nexus); }

private:
    std::set<NexusName> preventing_;
};

} // namespace touka::scsi
