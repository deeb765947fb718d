#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "fabric/target_config.hpp"
#include "scsi/nexus.hpp"

namespace touka::fabric {

/// LUN masking of one target: which initiator sees which units.
class LunMap {
public:
    /// @param find_unit the unit of a name.  @pre it knows all names of the target's LUNs.
    LunMap(const TargetConfig& target, const std::function<scsi::LogicalUnit*(const std::string&)>& find_unit);

    /// The entry that lets this initiator in: its own name's before "*". @return null: it may not log in. A target
    /// without entries lets everybody in and asks for nothing.
    [[nodiscard]] const AccessConfig* entry(std::string_view initiator) const;
    /// What it sees, ascending by LUN; empty when it may not log in.
    [[nodiscard]] std::vector<scsi::MappedUnit> units(std::string_view initiator) const;

private:
    struct NumberedUnit {
        std::uint32_t number;
        scsi::LogicalUnit* unit;
    };
    std::vector<NumberedUnit> luns_;
    std::vector<AccessConfig> access_; // names in the form in which they are compared
};

} // namespace touka::fabric
