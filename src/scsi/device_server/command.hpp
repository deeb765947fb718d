#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "scsi/task.hpp"

namespace touka::scsi {

/// How a reservation of another nexus looks at a command. (SPC-5 §5.14.1 table 70, SBC-4 table 13, SSC-5 table 13)
enum class ReservationClass : std::uint8_t {
    kExempt,  ///< never conflicts, with RESERVE(6) neither (SPC-2 table 10)
    kAllowed, ///< conflicts with RESERVE(6), never with persistent reservations
    kReads,   ///< conflicts with exclusive access
    kChanges, ///< conflicts with write exclusive and exclusive access
};

/// What persistent reservations allow: kExempt for the few commands that RESERVE(6) allows, too, else kAllowed.
[[nodiscard]] ReservationClass always_allowed(const Cdb& cdb);
[[nodiscard]] inline ReservationClass reads_only(const Cdb&) { return ReservationClass::kReads; }
[[nodiscard]] inline ReservationClass changes_unit(const Cdb&) { return ReservationClass::kChanges; }

/// One command that a device server has: how it is recognised, checked and executed. The same table answers REPORT
/// SUPPORTED OPERATION CODES.
struct Command {
    std::optional<std::uint16_t> service_action{}; ///< for operation codes that have them
    /// CDB usage data: as long as the CDB, the operation code first, then which bits are evaluated, service action
    /// bits among them; a CDB with any other bit set is answered INVALID FIELD IN CDB. (SPC-5 §6.34.3)
    std::vector<std::uint8_t> usage;
    ReservationClass (*reservation)(const Cdb&) = changes_unit;
    /// Executed although a unit attention is pending, which stays (INQUIRY, REPORT LUNS) or is told (REQUEST SENSE).
    bool despite_unit_attention = false;
    /// Executed although the unit is not ready, formats or sanitizes.
    bool despite_not_ready = false;
    /// Fills the response in and calls DeviceServer::good, check or one of their kin, once, now or later.
    std::function<void(Task&)> execute;

    [[nodiscard]] std::uint8_t operation_code() const { return usage[0]; }
    /// Does it read or write the medium? What needs neither a ready unit nor the right of access does not.
    [[nodiscard]] bool accesses_medium(const Cdb& cdb) const {
        return !despite_not_ready && reservation(cdb) >= ReservationClass::kReads;
    }
};

/// The commands of one device server.
class CommandSet {
public:
    /// @pre the operation code, with this service action, is not there yet.
    void add(Command command);
    /// @return the command, or the sense for an operation code, service action or bit that does not exist.
    [[nodiscard]] const Command* find(std::uint8_t operation_code, std::uint16_t service_action) const;
    /// Does any command have this operation code?
    [[nodiscard]] bool has(std::uint8_t operation_code) const;
    /// The sense for a CDB that sets bits outside the usage data, or is too short.
    [[nodiscard]] static std::optional<Sense> check(const Command& command, const Cdb& cdb);
    /// Ascending by operation code and service action.
    [[nodiscard]] const std::vector<Command>& all() const { return commands_; }

private:
    std::vector<Command> commands_;
    std::array<std::uint16_t, 257> first_{}; // of each operation code, in commands_
};

} // namespace touka::scsi
