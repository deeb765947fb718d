#include "scsi/copy/copy_records.hpp"

#include <limits>

#include "scsi/parameter_data.hpp"

namespace touka::scsi {

using namespace spec::scsi;

CopyRecords::Handle CopyRecords::begin(const NexusName& nexus, std::uint8_t identifier) {
    Handle& place = records_[{nexus, identifier}];
    if (place && place->state == CopyStatus::kInProgress) return nullptr;
    place = std::make_shared<CopyRecord>();
    return place;
}

CopyRecords::Handle CopyRecords::find(const NexusName& nexus, std::uint8_t identifier) const {
    const auto found = records_.find({nexus, identifier});
    return found == records_.end() ? nullptr : found->second;
}

void CopyRecords::forget(const NexusName& nexus, std::uint8_t identifier, const Handle& record) {
    const auto found = records_.find({nexus, identifier});
    if (found != records_.end() && found->second == record) records_.erase(found);
}

void CopyRecords::forget_nexus(const NexusName& nexus) {
    std::erase_if(records_, [&](const auto& entry) { return entry.first.first == nexus; });
}

std::vector<std::uint8_t> copy_status_data(const CopyRecord& record) {
    // TRANSFER COUNT UNITS: 2^10 to the power of it, in bytes.
    std::uint8_t units = 0;
    std::uint64_t count = record.copied_bytes;
    for (; count > std::numeric_limits<std::uint32_t>::max(); count >>= 10) ++units;
    ParameterData data;
    data.number(8, 4).byte(static_cast<std::uint8_t>(record.state)).number(record.segments, 2);
    return data.byte(units).number(count, 4).take();
}

std::vector<std::uint8_t> copy_failure_data(const CopyRecord& record) {
    if (record.sense.empty()) return ParameterData().number(0, 4).take();
    ParameterData data;
    data.number(0, 4).zeros(52).byte(static_cast<std::uint8_t>(record.status)).zeros(1);
    data.number(record.sense.bytes().size(), 2).bytes(record.sense.bytes());
    return data.set(0, data.size() - 4, 4).take();
}

} // namespace touka::scsi
