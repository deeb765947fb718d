#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "spec/scsi/inquiry.hpp"
#include "spec/scsi/lun.hpp"

namespace touka::scsi {

/// A SCSI initiator port's name as TransportIDs carry it. (SPC-5 §7.6.4)
struct InitiatorPort {
    spec::scsi::ProtocolIdentifier protocol = spec::scsi::ProtocolIdentifier::kIscsi;
    /// iSCSI: "name,i,0xISID" with the ISID as 12 lower-case hexadecimal digits; Fibre Channel: the N_Port_Name as 16
    /// lower-case hexadecimal digits; else whatever tells ports apart.
    std::string name;
    auto operator<=>(const InitiatorPort&) const = default;
};

/// (SPC-5 §7.7.8.2) 1 to 65535.
using RelativeTargetPort = std::uint16_t;

/// Which initiator port through which target port: what reservations, unit attentions and task sets are kept by.
/// The same again after the initiator logged in again. (SAM-6 §4.10)
struct NexusName {
    InitiatorPort initiator;
    RelativeTargetPort target_port = 1;
    auto operator<=>(const NexusName&) const = default;
};

class LogicalUnit;

/// One unit where an initiator sees it.
struct MappedUnit {
    spec::scsi::Lun lun;
    LogicalUnit* unit;
};

/// An I_T nexus while it exists: from login to logout. Owned by the port that made it; on the target's reactor.
struct Nexus {
    NexusName name;
    /// Small and unique among nexuses of one target that exist at the same time.
    std::uint32_t index = 0;
    /// What this initiator may see, ascending by LUN; replaced when masking changes.
    std::vector<MappedUnit> units;
};

} // namespace touka::scsi
