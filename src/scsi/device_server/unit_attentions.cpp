#include "scsi/device_server/unit_attentions.hpp"

#include <algorithm>

namespace touka::scsi {

void UnitAttentions::count() {
    pending_ = 0;
    for (const auto& [nexus, codes] : conditions_) pending_ += codes.size();
}

void UnitAttentions::attach(const NexusName& nexus, SenseCode first) {
    conditions_[nexus] = {first};
    count();
}

void UnitAttentions::detach(const NexusName& nexus) {
    conditions_.erase(nexus);
    count();
}

std::vector<NexusName> UnitAttentions::attached() const {
    std::vector<NexusName> nexuses;
    nexuses.reserve(conditions_.size());
    for (const auto& [nexus, codes] : conditions_) nexuses.push_back(nexus);
    return nexuses;
}

void UnitAttentions::establish(const NexusName& nexus, SenseCode code) {
    const auto found = conditions_.find(nexus);
    if (found == conditions_.end() || std::ranges::count(found->second, code) != 0) return;
    found->second.push_back(code);
    ++pending_;
}

void UnitAttentions::establish_for_others(const NexusName* except, SenseCode code) {
    for (const auto& [nexus, codes] : conditions_) {
        if (except == nullptr || nexus != *except) establish(nexus, code);
    }
}

void UnitAttentions::replace_all(SenseCode code) {
    for (auto& [nexus, codes] : conditions_) codes = {code};
    count();
}

bool UnitAttentions::pending(const NexusName& nexus) const {
    const auto found = conditions_.find(nexus);
    return found != conditions_.end() && !found->second.empty();
}

std::optional<SenseCode> UnitAttentions::take_oldest(const NexusName& nexus) {
    const auto found = conditions_.find(nexus);
    if (found == conditions_.end() || found->second.empty()) return std::nullopt;
    const SenseCode code = found->second.front();
    found->second.erase(found->second.begin());
    --pending_;
    return code;
}

void UnitAttentions::clear(const NexusName& nexus, SenseCode code) {
    const auto found = conditions_.find(nexus);
    if (found != conditions_.end()) pending_ -= std::erase(found->second, code);
}

} // namespace touka::scsi
