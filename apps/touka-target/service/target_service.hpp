// The running target program: units, targets, portals and who is logged in, built from a configuration and changed
// by a new one.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "devices/virtio/vhost_user/listener.hpp"
#include "fabric/lun_map.hpp"
#include "fabric/target_config.hpp"
#include "fabric/units.hpp"
#include "runtime/reactor.hpp"
#include "scsi/iscsi/access.hpp"
#include "scsi/iscsi/network_entity.hpp"
#include "scsi/iscsi/portal.hpp"
#include "scsi/target.hpp"

namespace touka::target {

/// Everything happens on one reactor's thread; functions may be called from any other and wait for it.
class TargetService final : public scsi::iscsi::AccessPolicy {
public:
    /// Opens what the configuration names and begins to listen. @param notice gets what the user should know later; on
    /// the service's thread.  @return what is wrong, for the user.
    [[nodiscard]] static std::expected<std::unique_ptr<TargetService>, std::string>
    start(const fabric::ServiceConfig& config, std::function<void(std::string)> notice);
    /// Closes, if nobody has, and waits for the host as long as it takes.
    ~TargetService() override;
    /// Asks initiators to log out and waits for them, and for what is in flight: a few seconds, whatever the host does.
    /// @return false when the host has not let go of some unit (`notice` tells which): there is no orderly end then,
    /// and the process had better exit. @pre not called before.
    [[nodiscard]] bool close();

    /// Changes over to another configuration; sessions whose target is still there go on. Portal groups stay as they
    /// are until the next start, since units tell initiators of them.
    /// @return what is wrong: then everything is as it was.
    [[nodiscard]] std::expected<void, std::string> reload(const fabric::ServiceConfig& config);

    struct UnitReport {
        std::string name;
        scsi::DeviceServerCounters counters;
    };
    struct Report {
        std::vector<std::string> portals; ///< as they listen
        std::vector<fabric::TargetConfig> targets;
        std::vector<UnitReport> units;
        std::vector<scsi::iscsi::SessionInfo> sessions;
    };
    [[nodiscard]] Report report();

private:
    struct ServedTarget {
        fabric::TargetConfig config;
        scsi::Target target;
        std::unique_ptr<fabric::LunMap> luns;
    };
    /// One socket for one virtual machine's adapter.
    struct VhostUserPort {
        fabric::VhostUserConfig config;
        scsi::RelativeTargetPort relative;
        std::unique_ptr<devices::virtio::VhostUserListener> listener;
    };
    struct OpenPortal {
        fabric::PortalConfig config;
        scsi::iscsi::PortalId id;
        std::unique_ptr<scsi::iscsi::Portal> portal;
    };

    TargetService(const fabric::ServiceConfig& config, std::function<void(std::string)> notice);
    // All below on the reactor.
    [[nodiscard]] std::expected<void, std::string> apply(const fabric::ServiceConfig& config);
    [[nodiscard]] std::expected<void, std::string> open_units(const fabric::ServiceConfig& config);
    [[nodiscard]] std::expected<void, std::string> open_portals(const fabric::ServiceConfig& config);
    [[nodiscard]] std::expected<void, std::string> open_vhost_user(const fabric::ServiceConfig& config);
    [[nodiscard]] std::unique_ptr<devices::virtio::VirtioDevice> make_adapter(const fabric::VhostUserConfig& config,
                                                                              scsi::RelativeTargetPort relative);
    void remap_vhost_user();
    /// Calls `done` when no virtual machine is connected any more.
    void wait_for_vhost_user(std::function<void()> done);
    void serve_targets(const fabric::ServiceConfig& config);
    void retire_units(const fabric::ServiceConfig& config);
    void close_idle_units();

    [[nodiscard]] std::optional<scsi::iscsi::Authentication> authentication(std::string_view initiator,
                                                                            std::string_view target) override;
    [[nodiscard]] std::vector<scsi::MappedUnit> units(std::string_view initiator, std::string_view target) override;
    [[nodiscard]] ServedTarget* find(std::string_view name);

    bool closed_ = false;
    std::function<void(std::string)> notice_;
    runtime::Reactor reactor_{"target"};
    std::map<std::uint16_t, scsi::RelativeTargetPort> port_of_group_;
    std::unique_ptr<fabric::Units> units_;
    std::vector<std::unique_ptr<ServedTarget>> targets_;
    std::vector<std::unique_ptr<ServedTarget>> leaving_; // until their last session has gone
    std::unique_ptr<scsi::iscsi::NetworkEntity> entity_;
    std::vector<OpenPortal> portals_;
    std::vector<VhostUserPort> vhost_user_;
    scsi::iscsi::PortalId next_portal_ = 1;
    std::vector<std::string> retired_units_; // no longer configured, until no nexus sees them
    std::unique_ptr<runtime::Timer> retirement_, disconnection_;
};

} // namespace touka::target
