#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fabric/open_unit.hpp"
#include "fabric/target_config.hpp"
#include "runtime/reactor.hpp"
#include "scsi/logical_unit.hpp"

namespace touka::fabric {

/// The units of a program: opened by their configuration, owned, found by name. Everything on the reactor's thread, or
/// while it does nothing for them.
class Units final : private scsi::CopyDirectory {
public:
    /// @param state_folder where reservations and inventories are kept; empty: they last as long as the program.
    /// @param ports through which units are reached.  @param notice what the user should know and what stops nothing.
    Units(runtime::Reactor& reactor, std::string state_folder, std::vector<scsi::TargetPort> ports,
          std::function<void(std::string)> notice);
    /// @pre `stop` is done, or no unit does anything without a task.
    ~Units() override;
    Units(const Units&) = delete;
    Units& operator=(const Units&) = delete;

    /// @return what is wrong and what to do, for the user.
    [[nodiscard]] std::expected<void, std::string> open(const UnitConfig& config);
    /// No nexus sees the unit, no task is in it, and no library uses it.
    [[nodiscard]] bool idle(const std::string& name) const;
    /// @pre idle(name).  @param done called once, perhaps before this returns, when it is closed.
    void close(const std::string& name, std::function<void()> done);
    /// Ends what units do by themselves. @pre no nexus sees any.  @param done called once.
    void stop(const std::function<void()>& done);
    /// The names of units that the host still has requests of: their destruction waits for those.
    [[nodiscard]] std::vector<std::string> stuck() const;

    [[nodiscard]] scsi::LogicalUnit* find(const std::string& name) const;
    /// The configuration that an open unit has; null when there is none of this name.
    [[nodiscard]] const UnitConfig* config(const std::string& name) const;
    [[nodiscard]] std::vector<std::string> names() const;
    /// What a unit has been asked to do.
    [[nodiscard]] const scsi::DeviceServerCounters& counters(const std::string& name) const;

private:
    struct NamedUnit {
        UnitConfig config;
        std::unique_ptr<OpenUnit> unit;
        bool closing = false;
    };
    [[nodiscard]] const NamedUnit* named(const std::string& name) const;
    [[nodiscard]] std::optional<scsi::CopyEndpoint> find(std::uint64_t naa) const override;

    UnitContext context_;
    std::vector<NamedUnit> units_; // in the order of opening: libraries after their drives
};

} // namespace touka::fabric
