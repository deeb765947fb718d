#include "fabric/kept_reservations.hpp"

#include <fmt/format.h>

namespace touka::fabric {

std::expected<std::unique_ptr<KeptReservations>, std::string>
KeptReservations::open(const std::string& unit_name, scsi::DeviceServer& server, const UnitContext& context) {
    auto kept = std::make_unique<KeptReservations>();
    scsi::ReservationConfiguration configuration{.target_ports = context.port_numbers()};
    scsi::PersistentReservationsState saved;
    if (!context.state_folder.empty()) {
        kept->store_ = std::make_unique<scsi::ReservationStore>(context.state_path(unit_name, "reservations"));
        auto loaded = kept->store_->load();
        if (!loaded) return std::unexpected(fmt::format("unit \"{}\": {}", unit_name, loaded.error().text));
        saved = std::move(*loaded);
        configuration.journal = kept->store_.get();
    }
    kept->commands_ = std::make_unique<scsi::ReservationCommands>(server, std::move(configuration));
    kept->commands_->restore(std::move(saved));
    return kept;
}

} // namespace touka::fabric
