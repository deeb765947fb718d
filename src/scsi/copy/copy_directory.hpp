#pragma once

#include <cstdint>
#include <optional>

#include "scsi/disk/disk_core.hpp"
#include "scsi/logical_unit.hpp"

namespace touka::scsi {

/// A unit that can be read from and written to by EXTENDED COPY.
struct CopyEndpoint {
    LogicalUnit* unit; ///< as it is mapped to nexuses
    DiskCore* core;
};

/// Whoever owns the units; on their reactor.
class CopyDirectory {
public:
    virtual ~CopyDirectory() = default;
    /// The unit that shows this NAA designator in its VPD page 83h; nothing when there is none, or none to copy with.
    [[nodiscard]] virtual std::optional<CopyEndpoint> find(std::uint64_t naa) const = 0;
};

} // namespace touka::scsi
