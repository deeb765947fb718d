#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "scsi/nexus.hpp"
#include "scsi/sense.hpp"
#include "spec/scsi/status.hpp"
#include "spec/scsi/third_party_copy.hpp"

namespace touka::scsi {

/// How far an EXTENDED COPY is, or how it ended.
struct CopyRecord {
    spec::scsi::CopyStatus state = spec::scsi::CopyStatus::kInProgress;
    std::uint16_t segments = 0; ///< processed, the one under way among them
    std::uint64_t copied_bytes = 0;
    spec::scsi::Status status = spec::scsi::Status::kGood; ///< the command's, when it failed
    SenseData sense;                                       ///< the command's, until it has been told
};

/// What RECEIVE COPY STATUS and FAILURE DETAILS tell, by nexus and list identifier. Kept until it has been told, the
/// identifier is used again, the nexus is lost or the unit is reset. (SPC-4 §5.16.4.3, §6.21, §6.23)
class CopyRecords {
public:
    /// Shared, since a copy under way may outlast its record: after a reset it still has to end.
    using Handle = std::shared_ptr<CopyRecord>;

    /// @return null when a copy with that identifier is under way.
    [[nodiscard]] Handle begin(const NexusName& nexus, std::uint8_t identifier);
    [[nodiscard]] Handle find(const NexusName& nexus, std::uint8_t identifier) const;
    /// Forgets it, if it is still this one.
    void forget(const NexusName& nexus, std::uint8_t identifier, const Handle& record);
    void forget_nexus(const NexusName& nexus);
    void clear() { records_.clear(); }

private:
    std::map<std::pair<NexusName, std::uint8_t>, Handle> records_;
};

/// (SPC-4 §6.21)
[[nodiscard]] std::vector<std::uint8_t> copy_status_data(const CopyRecord& record);
/// (SPC-4 §6.23)
[[nodiscard]] std::vector<std::uint8_t> copy_failure_data(const CopyRecord& record);

} // namespace touka::scsi
