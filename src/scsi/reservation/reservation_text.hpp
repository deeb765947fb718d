// The file format of persistent reservations: TOML that a person can read, with a check value over all of it.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "scsi/reservation/reservation_journal.hpp"

namespace touka::scsi {

inline constexpr std::int64_t kReservationTextVersion = 1;

/// A state that does not persist is written without registrations.
[[nodiscard]] std::string reservation_text(const PersistentReservationsState& state);

/// Reads exactly what `reservation_text` writes: anything else, down to a single wrong byte, is refused.
/// @param file for messages.
/// @return kDamaged or kNewer.
[[nodiscard]] std::expected<PersistentReservationsState, StoreError> parse_reservation_text(std::string_view text,
                                                                                            const std::string& file);

} // namespace touka::scsi
