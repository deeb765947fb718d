// Parameter lists of PERSISTENT RESERVE OUT. (SPC-5 §6.17.3, §6.17.4)
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <vector>

#include "scsi/reservation/persistent_reservations.hpp"
#include "scsi/reservation/transport_id.hpp"
#include "scsi/sense.hpp"

namespace touka::scsi {

/// Longer lists are answered PARAMETER LIST LENGTH ERROR: room for more initiator ports than may be registered.
inline constexpr std::size_t kReserveOutLimitBytes = 512 * 1024;

struct ReserveOutParameters {
    ReservationKey key = 0;
    ReservationKey action_key = 0;
    bool persists = false;                 ///< APTPL
    bool all_target_ports = false;         ///< ALL_TG_PT
    bool names_initiators = false;         ///< SPEC_I_PT
    std::vector<TransportId> initiators{}; ///< with SPEC_I_PT
};

/// @param list the whole list: PARAMETER LIST LENGTH bytes.
/// @param service_action any but REGISTER AND MOVE. Fields that it ignores are read and not checked.
[[nodiscard]] std::expected<ReserveOutParameters, Sense> parse_reserve_out(std::span<const std::uint8_t> list,
                                                                           std::uint16_t service_action);

struct RegisterAndMoveParameters {
    ReservationKey key = 0;
    ReservationKey action_key = 0;
    bool unregister = false; ///< UNREG
    bool persists = false;   ///< APTPL
    RelativeTargetPort target_port = 0;
    TransportId initiator{};
};

[[nodiscard]] std::expected<RegisterAndMoveParameters, Sense>
parse_register_and_move(std::span<const std::uint8_t> list);

} // namespace touka::scsi
