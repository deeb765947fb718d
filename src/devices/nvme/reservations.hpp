#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <vector>

#include "spec/nvme/reservation.hpp"
#include "spec/nvme/status.hpp"

namespace touka::devices::nvme {

/// A host as reservations know it: by its identifier, so that it is one host through several controllers; without one
/// each controller's host is another. (NVM Express Base 2.0 §5.27.1.25)
struct HostIdentity {
    std::array<std::uint8_t, 16> id{};
    std::uint16_t controller = 0xFFFF; ///< 0xFFFF when there is an identifier

    auto operator<=>(const HostIdentity&) const = default;
    void describe(auto& archive) { archive(id, controller); }
};

/// What a host is told of what others did. (§8.19.8)
struct ReservationNotice {
    HostIdentity host;
    std::uint8_t type; ///< spec::nvme::kRegistrationPreempted and its neighbours
};

/// The registrants and the reservation of one namespace. No threads, no I/O. (§7.2 to §7.5, §8.19)
class Reservations {
public:
    struct Registrant {
        HostIdentity host;
        std::uint64_t key = 0;
        void describe(auto& archive) { archive(host, key); }
    };
    struct State {
        static constexpr std::uint16_t kVersion = 1;
        std::vector<Registrant> registrants;
        std::optional<HostIdentity> holder; ///< nobody in particular when all registrants hold it
        spec::nvme::ReservationType type = spec::nvme::ReservationType::kNone;
        std::uint32_t generation = 0;
        bool persist = false; ///< PTPL
        void describe(auto& archive) { archive(registrants, holder, type, generation, persist); }
    };
    /// Registrants that a namespace has at most: more hosts than controllers there are not.
    static constexpr std::size_t kRegistrantLimit = 256;

    struct Result {
        spec::nvme::Status status = spec::nvme::Status::kSuccess;
        std::vector<ReservationNotice> notices{};
        /// Hosts whose commands preempt and abort has to wait for.
        std::vector<HostIdentity> preempted{};
    };
    [[nodiscard]] Result register_key(const HostIdentity& host, std::uint8_t action, bool ignore_existing_key,
                                      std::uint8_t persist, const spec::nvme::ReservationKeys& keys);
    [[nodiscard]] Result acquire(const HostIdentity& host, std::uint8_t action, spec::nvme::ReservationType type,
                                 const spec::nvme::ReservationKeys& keys);
    [[nodiscard]] Result release(const HostIdentity& host, std::uint8_t action, spec::nvme::ReservationType type,
                                 std::uint64_t key);
    /// A host without an identifier loses everything when its controller is reset.
    [[nodiscard]] Result forget(const HostIdentity& host);

    /// Figure 443: commands of the read group and of the write group.
    [[nodiscard]] bool may_read(const HostIdentity& host) const;
    [[nodiscard]] bool may_write(const HostIdentity& host) const;

    [[nodiscard]] const State& state() const { return state_; }
    [[nodiscard]] bool holds(const HostIdentity& host) const;
    void restore(State state) { state_ = std::move(state); }

private:
    [[nodiscard]] Registrant* find(const HostIdentity& host);
    [[nodiscard]] const Registrant* find(const HostIdentity& host) const;
    [[nodiscard]] bool for_all_registrants() const;
    [[nodiscard]] bool for_registrants() const; ///< their type lets every registrant in
    void remove(const HostIdentity& host, Result& result);
    void end_reservation(const HostIdentity& by, Result& result);
    [[nodiscard]] Result preempt(const HostIdentity& host, spec::nvme::ReservationType type, std::uint64_t key);

    State state_;
};

} // namespace touka::devices::nvme
