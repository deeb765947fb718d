#pragma once

#include <expected>
#include <memory>
#include <string>

#include "fabric/open_unit.hpp"
#include "scsi/reservation/reservation_commands.hpp"
#include "scsi/reservation/reservation_store.hpp"

namespace touka::fabric {

/// The reservations of a unit, kept in the state folder where there is one.
class KeptReservations {
public:
    /// Adds the commands to the unit's server and restores what was kept.
    [[nodiscard]] static std::expected<std::unique_ptr<KeptReservations>, std::string>
    open(const std::string& unit_name, scsi::DeviceServer& server, const UnitContext& context);

private:
    std::unique_ptr<scsi::ReservationStore> store_;
    std::unique_ptr<scsi::ReservationCommands> commands_;
};

} // namespace touka::fabric
