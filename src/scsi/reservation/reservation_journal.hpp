#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "scsi/reservation/persistent_reservations.hpp"

namespace touka::scsi {

struct StoreError {
    enum class Kind : std::uint8_t {
        kUnreadable, ///< the file exists and cannot be read
        kDamaged,    ///< it is not what was written
        kNewer,      ///< a later version wrote it
        kNotWritten, ///< what is there after a loss of power is the old state or the new one
    };
    Kind kind = Kind::kUnreadable;
    std::string text; ///< for the user: which file, what is wrong
};

/// Where registrations and the reservation are kept through a loss of power. (SPC-5 §5.14.5)
class ReservationJournal {
public:
    virtual ~ReservationJournal() = default;
    /// When this returns, the state is what is found after a loss of power; one that does not persist: that there are
    /// no registrations. May block the reactor.
    [[nodiscard]] virtual std::expected<void, StoreError> save(const PersistentReservationsState& state) = 0;
};

} // namespace touka::scsi
