#include "fabric/lun_map.hpp"

#include <algorithm>

#include "fabric/port_name.hpp"

namespace touka::fabric {

LunMap::LunMap(const TargetConfig& target, const std::function<scsi::LogicalUnit*(const std::string&)>& find_unit)
    : access_(target.access) {
    for (const LunConfig& lun : target.luns) luns_.push_back({lun.number, find_unit(lun.unit)});
    if (access_.empty()) access_.push_back({.initiator = "*", .luns = {}, .chap = {}, .mutual_chap = {}});
    for (AccessConfig& access : access_) access.initiator = comparable_name(access.initiator);
}

const AccessConfig* LunMap::entry(std::string_view initiator) const {
    const auto named = std::ranges::find(access_, comparable_name(initiator), &AccessConfig::initiator);
    if (named != access_.end()) return &*named;
    const auto everybody = std::ranges::find(access_, "*", &AccessConfig::initiator);
    return everybody != access_.end() ? &*everybody : nullptr;
}

std::vector<scsi::MappedUnit> LunMap::units(std::string_view initiator) const {
    std::vector<scsi::MappedUnit> units;
    const AccessConfig* const access = entry(initiator);
    if (access == nullptr) return units;
    for (const NumberedUnit& lun : luns_) {
        if (access->luns && std::ranges::find(*access->luns, lun.number) == access->luns->end()) continue;
        units.push_back({spec::scsi::Lun::from_number(lun.number), lun.unit});
    }
    std::ranges::sort(units, {}, &scsi::MappedUnit::lun);
    return units;
}

} // namespace touka::fabric
