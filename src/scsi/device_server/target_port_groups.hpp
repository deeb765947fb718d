#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "scsi/device_server/inquiry.hpp"

namespace touka::scsi {

/// (SPC-5 table 326)
enum class AccessState : std::uint8_t {
    kActiveOptimized = 0x0,
    kActiveNonOptimized = 0x1,
    kStandby = 0x2,
    kUnavailable = 0x3,
    kOffline = 0xE,
};

/// Asymmetric logical unit access: which groups of target ports reach the unit well, hardly or not at all. Explicit by
/// SET TARGET PORT GROUPS and implicit by `set_state`. (SPC-5 §5.17, §6.36, §6.47)
class TargetPortGroups final {
public:
    /// Adds both commands and, before every other command, the check of the port that it came through.
    /// @param ports those with a group other than 0 count.  @param server outlives this.
    TargetPortGroups(DeviceServer& server, const std::vector<TargetPort>& ports);

    /// From outside (implicit). Initiators learn of it by a unit attention.
    void set_state(std::uint16_t group, AccessState state);
    [[nodiscard]] AccessState state(std::uint16_t group) const { return groups_.at(group).state; }

private:
    struct Group {
        AccessState state = AccessState::kActiveOptimized;
        std::uint8_t status_code = 0; ///< 1: explicitly altered, 2: implicitly (SPC-5 table 328)
        std::vector<RelativeTargetPort> ports;
    };
    void report(Task& task);
    void set(Task& task);
    /// @return the sense for a command that its port's state does not let through.
    [[nodiscard]] std::optional<Sense> check(const Task& task) const;

    DeviceServer& server_;
    std::map<std::uint16_t, Group> groups_;
};

} // namespace touka::scsi
