// RESERVE and RELEASE, the older kind of reservation. (SPC-2 §5.5.2, §7.21 to §7.23)
// Absent: extents, elements and third parties.
#pragma once

#include <optional>

#include "scsi/device_server/device_server.hpp"

namespace touka::scsi {

/// The whole unit for one nexus, until it releases it, is lost, or the unit is reset.
class UnitReservation final : public ReservationPolicy, public UnitEvents {
public:
    /// Everything of other nexuses but what is exempt. (SPC-2 table 10)
    [[nodiscard]] bool conflicts(const NexusName& nexus, ReservationClass command) const override {
        return holder_ && *holder_ != nexus && command != ReservationClass::kExempt;
    }
    void logical_unit_reset() override { holder_.reset(); }
    void nexus_lost(const NexusName& nexus) override { release(nexus); }

    /// @return false when another nexus has it.
    [[nodiscard]] bool reserve(const NexusName& nexus) {
        if (!holder_) holder_ = nexus;
        return *holder_ == nexus;
    }
    /// Nothing when the nexus does not have it. (SPC-2 §7.16)
    void release(const NexusName& nexus) {
        if (holder_ == nexus) holder_.reset();
    }
    [[nodiscard]] const std::optional<NexusName>& holder() const { return holder_; }

private:
    std::optional<NexusName> holder_;
};

} // namespace touka::scsi
