#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fabric/target_config.hpp"
#include "runtime/reactor.hpp"
#include "scsi/copy/copy_directory.hpp"
#include "scsi/device_server/device_server.hpp"
#include "scsi/device_server/inquiry.hpp"
#include "scsi/disk/disk_unit.hpp"
#include "scsi/tape/tape_unit.hpp"

namespace touka::fabric {

/// A unit of our own with everything that it stands on.
class OpenUnit {
public:
    virtual ~OpenUnit() = default;
    [[nodiscard]] virtual scsi::DeviceServer& server() = 0;
    /// The drive, when it is one.
    [[nodiscard]] virtual scsi::TapeUnit* tape() { return nullptr; }
    /// The disk, when it is one.
    [[nodiscard]] virtual scsi::DiskUnit* disk() { return nullptr; }
    /// Ends what goes on without a task. @pre no nexus sees the unit.  @param done called once, perhaps before this
    /// returns, when it may be destroyed.
    virtual void stop(std::function<void()> done) { done(); }
    /// Does the host still have requests of it? Its destruction waits for them then.
    [[nodiscard]] virtual bool stuck() { return !server().idle(); }
};

using OpenedUnit = std::expected<std::unique_ptr<OpenUnit>, std::string>;

/// What units are opened with; everything outlives them.
struct UnitContext {
    runtime::Reactor& reactor;
    std::string state_folder; ///< empty: nothing is kept
    std::vector<scsi::TargetPort> ports;
    std::function<scsi::TapeUnit*(const std::string&)> find_drive; ///< of a name
    const scsi::CopyDirectory* copies = nullptr; ///< between which disks EXTENDED COPY goes; null: none
    std::function<void(std::string)> notice;     ///< something that the user should know and that stops nothing

    /// "FOLDER/NAME.EXTENSION" with a name that any unit's becomes, no two the same.
    [[nodiscard]] std::string state_path(const std::string& name, const char* extension) const;
    [[nodiscard]] std::vector<scsi::RelativeTargetPort> port_numbers() const;
};

/// What a unit shows of itself where the configuration says nothing: a serial number made from its name.
[[nodiscard]] scsi::UnitIdentity identity_of(const UnitConfig& config, std::string_view product);

[[nodiscard]] OpenedUnit open_unit(const UnitConfig& config, const DiskUnitConfig& disk, const UnitContext& context);
[[nodiscard]] OpenedUnit open_unit(const UnitConfig& config, const TapeUnitConfig& tape, const UnitContext& context);
[[nodiscard]] OpenedUnit open_unit(const UnitConfig& config, const ChangerUnitConfig& changer,
                                   const UnitContext& context);

} // namespace touka::fabric
