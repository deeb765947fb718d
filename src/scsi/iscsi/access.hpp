// What the outside tells the iSCSI port: targets, where they are reached, and who may do what.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scsi/iscsi/chap.hpp"
#include "scsi/nexus.hpp"
#include "scsi/target.hpp"

namespace touka::scsi::iscsi {

/// A network portal's number, given by whoever opens it.
using PortalId = std::uint32_t;

/// Where a target is reached. Portals with the same tag are one SCSI target port and have the same relative port.
struct TargetPortal {
    PortalId portal = 0;
    std::uint16_t group_tag = 1; ///< TargetPortalGroupTag
    RelativeTargetPort relative_port = 1;
};

/// An iSCSI target node. (RFC 7143 §4.4.1)
struct TargetNode {
    std::string name;         ///< iqn, eui or naa name
    Target* target = nullptr; ///< outlives its being listed and its last session
    std::vector<TargetPortal> portals;
    std::string alias{};

    [[nodiscard]] const TargetPortal* at(PortalId portal) const {
        for (const TargetPortal& candidate : portals) {
            if (candidate.portal == portal) return &candidate;
        }
        return nullptr;
    }
};
/// Shared: a session keeps its node while the list of nodes is replaced.
using TargetNodeRef = std::shared_ptr<const TargetNode>;

/// What has to be proved at login. (RFC 7143 §9.2)
struct Authentication {
    std::optional<ChapSecret> initiator; ///< set: the initiator has to know it
    std::optional<ChapSecret> target;    ///< what the target proves when the initiator asks
};

/// Who may log in where and sees what. Asked at every login, so that its answers may change at any time.
class AccessPolicy {
public:
    virtual ~AccessPolicy() = default;
    /// @param target empty for a discovery session.
    /// @return nothing: this initiator may not log in there.
    [[nodiscard]] virtual std::optional<Authentication> authentication(std::string_view initiator,
                                                                       std::string_view target) = 0;
    /// What the initiator sees of the target, ascending by LUN. @pre it may log in.
    [[nodiscard]] virtual std::vector<MappedUnit> units(std::string_view initiator, std::string_view target) = 0;
    /// Is the target told of in discovery?
    [[nodiscard]] virtual bool visible(std::string_view initiator, std::string_view target) {
        return authentication(initiator, target).has_value();
    }
};

} // namespace touka::scsi::iscsi
