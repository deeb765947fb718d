// All of iSCSI on one reactor: targets, connections, and the memory they share. (RFC 7143 §4.4.1 "Network Entity")
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/timers.hpp"
#include "scsi/iscsi/connection.hpp"
#include "scsi/iscsi/task_store.hpp"

namespace touka::scsi::iscsi {

struct EntityOptions {
    ParameterLimits limits{};
    std::uint32_t queue_depth = 128;         ///< commands of one session at the same time
    std::uint32_t immediate_commands = 16;   ///< beyond that depth
    std::uint64_t memory_bytes = 1ull << 30; ///< for data of all connections
    std::uint64_t connection_memory_bytes = 256ull << 20;
    std::uint32_t connections = 1024;
    std::uint32_t logins = 64; ///< connections that are not logged in
    std::uint32_t login_timeout_s = 15;
    std::uint32_t ping_after_s = 15; ///< without a byte from the initiator
    std::uint32_t ping_timeout_s = 15;
};

/// Owns connections; tells sessions apart. Everything on one reactor, that of the targets.
class NetworkEntity final : public LoginDirectory {
public:
    /// @param timers the reactor's.  @param policy outlives the entity.
    NetworkEntity(runtime::Timers& timers, AccessPolicy& policy, EntityOptions options = {});
    /// @pre `shut_down` is done, or no target exists that has a nexus of ours.
    ~NetworkEntity() override;
    NetworkEntity(const NetworkEntity&) = delete;
    NetworkEntity& operator=(const NetworkEntity&) = delete;

    /// Replaces the list of targets. Sessions with a target that is still in it go on; others are ended.
    /// @param done called once when no session is left with a target that is no longer listed.
    void set_targets(std::vector<TargetNode> targets, std::function<void()> done = [] {});
    /// What the policy says of units may have changed: sessions see it at once.
    void access_changed();
    /// Asks all initiators to log out and drops who does not within `seconds`. No logins any more.
    /// @param done called once when no connection is left.
    void shut_down(std::uint16_t seconds, std::function<void()> done);
    [[nodiscard]] std::vector<SessionInfo> sessions() const;
    /// Ends a session. @return whether there is one of that TSIH.
    bool drop_session(std::uint16_t tsih);
    /// Tells a session's initiator sense data that belong to no command. @return whether there is one of that TSIH.
    bool report_sense(std::uint16_t tsih, Lun lun, const SenseData& sense);
    /// How SendTargets tells where a portal is. @param address "address:port"; a wildcard address stands for that by
    /// which the initiator has reached us.
    void set_portal_address(PortalId portal, std::string address) { portals_[portal] = std::move(address); }
    void forget_portal(PortalId portal) { portals_.erase(portal); }

    /// A new connection. @return null when there are too many.
    [[nodiscard]] Connection* accept(Wire& wire, PortalId portal);
    /// Destroys connections that are gone. Called where no connection's function runs.
    void collect();

    // LoginDirectory
    [[nodiscard]] TargetNodeRef find_target(std::string_view name) const override;
    [[nodiscard]] AccessPolicy& policy() const override { return policy_; }
    [[nodiscard]] bool session_exists(std::uint16_t tsih) const override;

    // Connections' side.
    /// A connection is logged in; opens its session once older ones of the same name have gone. (RFC 7143 §6.3.5)
    void reinstate(Connection& connection);
    /// Its nexus is no more, or its wire.
    void ended(Connection& connection);
    /// Ends all sessions with a target. (RFC 7143 §11.5.1, TARGET COLD RESET)
    void reset_target(const Target& target, const Connection* except);
    [[nodiscard]] Connection* find(std::uint64_t id);
    [[nodiscard]] std::uint16_t new_tsih();
    [[nodiscard]] const std::vector<TargetNodeRef>& targets() const { return targets_; }
    /// "address:port,tag" of a target's portal. @param local_address of the connection that asks.
    [[nodiscard]] std::string portal_address(PortalId portal, const std::string& local_address) const;
    [[nodiscard]] const EntityOptions& options() const { return options_; }
    [[nodiscard]] BufferPool& buffers() { return store_->buffers; }
    [[nodiscard]] TaskPool& tasks() { return store_->tasks; }
    [[nodiscard]] const std::shared_ptr<TaskStore>& task_store() const { return store_; }
    [[nodiscard]] std::uint64_t now_ns() const { return timers_.now_ns(); }

private:
    void tick();
    void resume_waiting();
    void call_who_waits();
    [[nodiscard]] Connection* find_session(std::uint16_t tsih) const;
    [[nodiscard]] bool stands_in_the_way(const Connection& old, const Connection& fresh) const;

    struct Waiter {
        std::vector<const Target*> targets; // that no session may have any more
        bool all;                           // no connection at all may be left
        std::function<void()> done;
    };

    runtime::Timers& timers_;
    AccessPolicy& policy_;
    EntityOptions options_;
    std::shared_ptr<TaskStore> store_; // shared with tasks that were given up
    std::vector<TargetNodeRef> targets_;
    std::map<PortalId, std::string> portals_;
    std::map<std::uint64_t, std::unique_ptr<Connection>> connections_;
    std::vector<Waiter> waiters_;
    std::uint64_t next_id_ = 1;
    std::uint16_t last_tsih_ = 0;
    bool shutting_down_ = false, resuming_ = false;
    std::unique_ptr<runtime::Timer> timer_;
};

} // namespace touka::scsi::iscsi
