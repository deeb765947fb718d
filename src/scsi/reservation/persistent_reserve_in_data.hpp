// Parameter data of PERSISTENT RESERVE IN, whole; the allocation length cuts them. (SPC-5 §6.16)
#pragma once

#include <cstdint>
#include <vector>

#include "scsi/reservation/persistent_reservations.hpp"

namespace touka::scsi {

/// One key for each registered nexus. (SPC-5 §6.16.2)
[[nodiscard]] std::vector<std::uint8_t> read_keys_data(const PersistentReservations& reservations);
/// (SPC-5 §6.16.3)
[[nodiscard]] std::vector<std::uint8_t> read_reservation_data(const PersistentReservations& reservations);
/// @param persist_capable APTPL may be set. (SPC-5 §6.16.4)
[[nodiscard]] std::vector<std::uint8_t> report_capabilities_data(const PersistentReservations& reservations,
                                                                 bool persist_capable);
/// One descriptor for each registered nexus; ALL_TG_PT is never set, since a registration for all target ports is
/// kept as one for each. (SPC-5 §6.16.5)
[[nodiscard]] std::vector<std::uint8_t> read_full_status_data(const PersistentReservations& reservations);

} // namespace touka::scsi
