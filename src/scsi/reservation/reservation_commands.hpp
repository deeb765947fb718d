// PERSISTENT RESERVE IN and OUT, RESERVE and RELEASE of one logical unit. (SPC-5 §5.14, §6.16, §6.17; SPC-2 §5.5)
#pragma once

#include <cstdint>
#include <vector>

#include "scsi/device_server/device_server.hpp"
#include "scsi/reservation/persistent_reservations.hpp"
#include "scsi/reservation/persistent_reserve_out_parameters.hpp"
#include "scsi/reservation/reservation_journal.hpp"
#include "scsi/reservation/unit_reservation.hpp"

namespace touka::scsi {

struct ReservationConfiguration {
    /// All of the target's: what ALL_TG_PT registers on and REGISTER AND MOVE may move to.
    std::vector<RelativeTargetPort> target_ports{};
    /// Where APTPL keeps things; outlives the commands. Without one APTPL is refused.
    ReservationJournal* journal = nullptr;
    std::size_t registration_limit = PersistentReservations::kRegistrationLimit;
};

/// The reservations of a unit and their commands. On the unit's reactor.
///
/// Initiator ports "known to the device server" (SPC-5 §7.6.4.6), which an iSCSI name without ISID stands for, are
/// those that have a nexus with the unit or are registered. When there is none of the name, the parameter list is
/// refused: an initiator would take GOOD for a registration.
class ReservationCommands {
public:
    /// Adds commands, conflict rules and observers. @param server outlives this.
    ReservationCommands(DeviceServer& server, ReservationConfiguration configuration);
    ReservationCommands(const ReservationCommands&) = delete;
    ReservationCommands& operator=(const ReservationCommands&) = delete;

    /// What was saved before power was lost; before the first task.
    void restore(PersistentReservationsState state) { persistent_.restore(std::move(state)); }
    /// The target has other ports from now on. Registrations on those that went stay.
    void set_target_ports(std::vector<RelativeTargetPort> ports) { configuration_.target_ports = std::move(ports); }

    [[nodiscard]] const PersistentReservations& persistent() const { return persistent_; }
    [[nodiscard]] const UnitReservation& unit() const { return unit_; }
    /// Why the last save failed, for the user; nothing once one succeeded.
    [[nodiscard]] const std::optional<StoreError>& journal_failure() const { return journal_failure_; }

private:
    void add_persistent_reserve();
    void add_reserve_and_release();

    void persistent_reserve_in(Task& task);
    void persistent_reserve_out(Task& task);
    [[nodiscard]] ReservationOutcome execute(const Task& task, std::span<const std::uint8_t> list) const;
    [[nodiscard]] ReservationOutcome execute_register(const NexusName& sender, ReserveOutParameters parameters,
                                                      bool ignore_existing) const;
    [[nodiscard]] ReservationOutcome execute_move(const NexusName& sender, std::span<const std::uint8_t> list) const;
    [[nodiscard]] std::expected<std::vector<InitiatorPort>, Sense>
    initiator_ports(const std::vector<TransportId>& ids) const;
    [[nodiscard]] bool save(const PersistentReservationsState& next);
    void carry_out(Task& task, const ReservationChange& change);

    void reserve(Task& task);
    void release(Task& task);
    [[nodiscard]] bool is_compatible(const NexusName& nexus) const;

    DeviceServer& server_;
    ReservationConfiguration configuration_;
    PersistentReservations persistent_;
    UnitReservation unit_;
    std::optional<StoreError> journal_failure_; // the journal may have something else than the model
};

} // namespace touka::scsi
