// Persistent reservations of one logical unit. (SPC-5 §5.14)
// Absent: REPLACE LOST RESERVATION (nothing is lost: what cannot be read again is refused at start), element scope.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "scsi/device_server/device_server.hpp"
#include "scsi/nexus.hpp"
#include "scsi/sense.hpp"
#include "spec/scsi/persistent_reservation.hpp"

namespace touka::scsi {

using spec::scsi::ReservationType;
using ReservationKey = std::uint64_t;

[[nodiscard]] bool is_all_registrants(ReservationType type);
[[nodiscard]] bool is_exclusive_access(ReservationType type);
/// Registered nexuses may do what the holder may: registrants only and all registrants.
[[nodiscard]] bool includes_registrants(ReservationType type);
/// @return nothing for a TYPE that is reserved or obsolete.
[[nodiscard]] std::optional<ReservationType> reservation_type(std::uint8_t code);

struct PersistentReservation {
    ReservationType type = ReservationType::kWriteExclusive;
    /// Empty when the type is an all registrants one: then every registered nexus holds it.
    NexusName holder{};
    bool operator==(const PersistentReservation&) const = default;
};

/// What survives everything but a loss of power, and that, too, when it persists.
struct PersistentReservationsState {
    std::map<NexusName, ReservationKey> registrations{}; ///< keys are not 0
    std::optional<PersistentReservation> reservation{};  ///< its holder is registered
    bool persists = false;                               ///< the last APTPL (SPC-5 §5.14.5)
    bool operator==(const PersistentReservationsState&) const = default;
    [[nodiscard]] bool holds(const NexusName& nexus) const;
    void reserve(ReservationType type, const NexusName& holder);
};

/// What a service action does when it succeeds: made first, saved where it has to be, then applied.
struct ReservationChange {
    PersistentReservationsState next;
    bool counts = false; ///< PRGENERATION goes up (SPC-5 §6.16.2)
    std::vector<std::pair<NexusName, SenseCode>> attentions{};
    std::vector<NexusName> preempted{}; ///< nexuses that PREEMPT AND ABORT ends the tasks of
};

/// Why a service action does not succeed: this sense, or without one RESERVATION CONFLICT.
struct ReservationRefusal {
    std::optional<Sense> sense{};
};

using ReservationOutcome = std::expected<ReservationChange, ReservationRefusal>;

/// REGISTER and REGISTER AND IGNORE EXISTING KEY. (SPC-5 §5.14.7)
struct RegisterRequest {
    std::optional<ReservationKey> key; ///< RESERVATION KEY; nothing: ignore what is registered
    ReservationKey new_key = 0;        ///< 0 unregisters
    bool persists = false;             ///< APTPL
    bool names_initiators = false;     ///< SPEC_I_PT
    /// The initiator ports beside the sender's that are registered with it; any may be there twice.
    std::vector<InitiatorPort> initiators{};
    /// ALL_TG_PT: the target's ports. Empty: the one that the command came through.
    std::vector<RelativeTargetPort> target_ports{};
};

/// (SPC-5 §5.14.8)
struct RegisterAndMoveRequest {
    ReservationKey key = 0;
    ReservationKey new_key = 0;
    NexusName destination;
    bool unregister = false; ///< UNREG
    bool persists = false;   ///< APTPL
};

/// Registrations, keys, the reservation and its holders; a pure model without tasks, files or clocks. Service actions
/// look and answer what would change; `apply` changes. Byte offsets in senses are those of the parameter list.
class PersistentReservations final : public ReservationPolicy {
public:
    /// @param registration_limit how many nexuses may be registered.
    explicit PersistentReservations(std::size_t registration_limit = kRegistrationLimit)
        : registration_limit_(registration_limit) {}
    static constexpr std::size_t kRegistrationLimit = 1024;

    /// (SPC-5 §5.14.1 table 70; SBC-4 table 13)
    [[nodiscard]] bool conflicts(const NexusName& nexus, ReservationClass command) const override;

    [[nodiscard]] ReservationOutcome register_nexus(const NexusName& sender, const RegisterRequest& request) const;
    [[nodiscard]] ReservationOutcome register_and_move(const NexusName& sender,
                                                       const RegisterAndMoveRequest& request) const;
    /// (SPC-5 §5.14.9)  @param type nothing when SCOPE and TYPE are none; so below.
    [[nodiscard]] ReservationOutcome reserve(const NexusName& sender, ReservationKey key,
                                             std::optional<ReservationType> type) const;
    /// (SPC-5 §5.14.11.2)
    [[nodiscard]] ReservationOutcome release(const NexusName& sender, ReservationKey key,
                                             std::optional<ReservationType> type) const;
    /// (SPC-5 §5.14.11.7)
    [[nodiscard]] ReservationOutcome clear(const NexusName& sender, ReservationKey key) const;
    /// PREEMPT, and PREEMPT AND ABORT without its abort. (SPC-5 §5.14.11.4, §5.14.11.5)
    /// @param preempted_key SERVICE ACTION RESERVATION KEY.
    /// @param type matters only when the reservation is preempted.
    [[nodiscard]] ReservationOutcome preempt(const NexusName& sender, ReservationKey key, ReservationKey preempted_key,
                                             std::optional<ReservationType> type) const;

    /// @param change made by a service action since the last apply.
    void apply(const ReservationChange& change);
    /// Power on: what persisted, with PRGENERATION 0.
    void restore(PersistentReservationsState state);

    [[nodiscard]] const PersistentReservationsState& state() const { return state_; }
    [[nodiscard]] std::uint32_t generation() const { return generation_; }
    [[nodiscard]] bool is_registered(const NexusName& nexus) const { return state_.registrations.contains(nexus); }

private:
    [[nodiscard]] bool has_key(const NexusName& nexus, ReservationKey key) const;
    [[nodiscard]] ReservationOutcome add_registrations(const NexusName& sender, const RegisterRequest& request) const;
    [[nodiscard]] ReservationOutcome change_registrations(const NexusName& sender,
                                                          const RegisterRequest& request) const;
    [[nodiscard]] ReservationOutcome preempt_reservation(const NexusName& sender, ReservationKey preempted_key,
                                                         ReservationType type) const;
    [[nodiscard]] ReservationOutcome remove_registrations(const NexusName& sender, ReservationKey preempted_key) const;

    PersistentReservationsState state_;
    std::uint32_t generation_ = 0;
    std::size_t registration_limit_;
};

/// Takes a nexus's registration away, and the reservation with it when there is no holder any more; registrants of a
/// registrants only one learn of it. (SPC-5 §5.14.11.3)  @param sender is told nothing.
void unregister(ReservationChange& change, const NexusName& nexus, const NexusName& sender);

} // namespace touka::scsi
