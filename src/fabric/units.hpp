#pragma once

#include <expected>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fabric/target_config.hpp"
#include "runtime/reactor.hpp"
#include "scsi/device_server/inquiry.hpp"
#include "scsi/logical_unit.hpp"

namespace touka::fabric {

/// The units of a program: opened by their configuration, owned, found by name. Everything on the reactor's thread, but
/// for construction and destruction, which may happen while it does nothing for them.
class Units {
public:
    /// @param state_folder where reservations and inventories are kept; empty: they last as long as the program.
    /// @param ports through which units are reached.
    Units(runtime::Reactor& reactor, std::string state_folder, std::vector<scsi::TargetPort> ports);
    ~Units();
    Units(const Units&) = delete;
    Units& operator=(const Units&) = delete;

    /// @return what is wrong and what to do, for the user.
    [[nodiscard]] std::expected<void, std::string> open(const UnitConfig& config);
    /// @pre no nexus sees the unit.
    void close(const std::string& name);
    [[nodiscard]] scsi::LogicalUnit* find(const std::string& name) const;
    /// The configuration that an open unit has; null when there is none of this name.
    [[nodiscard]] const UnitConfig* config(const std::string& name) const;
    [[nodiscard]] std::vector<std::string> names() const;

    /// No nexus sees the unit and no task is in it.
    [[nodiscard]] bool idle(const std::string& name) const;
    /// What a unit has been asked to do.
    [[nodiscard]] const scsi::DeviceServerCounters& counters(const std::string& name) const;

private:
    struct OpenUnit;
    [[nodiscard]] std::expected<std::unique_ptr<OpenUnit>, std::string> open_disk(const UnitConfig& config,
                                                                                  const DiskUnitConfig& disk);
    [[nodiscard]] std::string state_path(const std::string& name, const char* extension) const;

    runtime::Reactor& reactor_;
    std::string state_folder_;
    std::vector<scsi::TargetPort> ports_;
    std::map<std::string, std::unique_ptr<OpenUnit>> units_;
};

/// What a unit shows of itself where the configuration says nothing: a serial number made from its name.
[[nodiscard]] scsi::UnitIdentity identity_of(const UnitConfig& config, std::string_view product);

} // namespace touka::fabric
