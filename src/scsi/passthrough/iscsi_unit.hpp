// A logical unit of an array, reached through iSCSI. (RFC 7143)
// Absent, because libiscsi has none of it: task attributes (all are SIMPLE), CDBs above 16 bytes (answered INVALID
// COMMAND OPERATION CODE), commands with data in both directions, CONDITION MET (arrives as GOOD).
#pragma once

#include <cstdint>
#include <deque>
#include <expected>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/reactor.hpp"
#include "scsi/logical_unit.hpp"
#include "scsi/passthrough/command_policy.hpp"
#include "scsi/passthrough/iscsi_session.hpp"

struct scsi_task; // NOLINT(readability-identifier-naming): libiscsi's

namespace touka::scsi {

struct IscsiUnitConfiguration {
    /// "iscsi://[user[%password]@]address[:port]/target-name/lun[?header_digest=crc32c|none]"
    std::string url{};
    /// 16 hexadecimal digits: the port logs in as "naa.<wwpn>", with an ISID that depends on it and the LUN alone. So
    /// two units of one target have sessions of their own, and each is the same nexus to the array for ever.
    std::string initiator_wwpn{};
    std::string user{}, password{};                                   ///< replace those of the URL, when not empty
    std::string target_user{}, target_password{};                     ///< mutual CHAP, when not empty
    IscsiHeaderDigest header_digest = IscsiHeaderDigest::kPreferNone; ///< unless the URL says
    CommandPolicy policy{};
    /// How long commands wait for a session that is down, as adapters wait for a port that went away (dev_loss_tmo);
    /// later ones fail at once until it is up again.
    std::uint32_t patience_ms = 30'000;
    /// A task management function that the array does not answer costs it the session.
    std::uint32_t function_limit_ms = 15'000;
};

struct IscsiUnitCounters {
    std::uint64_t commands = 0;
    std::uint64_t undelivered = 0; ///< ended as transport failures
    std::uint64_t functions = 0;
};

/// Every command goes to the array as it is and comes back as the array answered it: status, sense data, residual; unit
/// attentions, reservations and task sets are the array's. Data go between the socket and the task's own buffers.
///
/// A session is kept from the first nexus to the last; there should be one nexus, since the array sees one. When it is
/// lost, everything in flight ends as a transport failure, reads and writes alike, and nothing is sent a second time:
/// whether the array executed a command is unknown, and the initiator's SCSI layer is the one that knows what it may
/// repeat, as with a physical adapter whose link went down. The new session is one of the same nexus, so the array ends
/// what is left of the old one before it accepts a command (RFC 7143 §6.3.5).
/// An I_T nexus reset is such a new session, and the array establishes the unit attention it has for that.
class IscsiUnit final : public LogicalUnit, private IscsiSessionEvents {
public:
    /// @return the unit, or what is wrong with the URL or the name.  @param reactor the target's; outlives the unit.
    [[nodiscard]] static std::expected<std::unique_ptr<IscsiUnit>, std::string>
    create(runtime::Reactor& reactor, IscsiUnitConfiguration configuration);
    /// @pre no task is left, on the reactor.
    ~IscsiUnit() override;

    void submit(Task& task) override;
    void commit() override { session_.flush(); }
    void manage(TaskManagementFunction function, Nexus& nexus, std::uint64_t tag,
                std::function<void(TaskManagementResponse)> done) override;
    void attach(Nexus& nexus) override;
    void detach(Nexus& nexus, std::function<void()> done) override;
    void inventory_changed(Nexus&) override {} // the array tells its own changes
    void inventory_reported(Nexus&) override {}

    [[nodiscard]] const IscsiUnitCounters& counters() const { return counters_; }
    [[nodiscard]] const CommandPolicy& policy() const { return policy_; }
    [[nodiscard]] const IscsiSession& session() const { return session_; }

private:
    struct Command;
    struct Function;
    IscsiUnit(runtime::Reactor& reactor, const IscsiUnitConfiguration& configuration, IscsiSessionConfiguration session,
              std::uint16_t lun);

    void session_up() override;
    void session_down() override;

    [[nodiscard]] Command& take_command(Task& task);
    void send(Command& command);
    /// @return false when the port has no memory.
    [[nodiscard]] bool set_buffers(Command& command, bool out, std::uint64_t length);
    void finish(Command& command, int status);
    void finish_undelivered(Command& command);
    void take_response(Task& task, const scsi_task& native, int status) const;
    void release(Command& command);
    void reclaim();

    [[nodiscard]] bool concerns(const Function& function, const Command& command) const;
    void abort_waiting(const Function& function);
    void renew_session(const std::function<void(TaskManagementResponse)>& done);
    void when_nothing_is_in_flight(std::function<void()> done);
    void finish_function(Function& function, int status, std::uint32_t response);
    void end_tasks_of(const Function& function);
    [[nodiscard]] Command* find_in_flight(const Function& function);
    void on_timer();
    void arm_timer();

    static void on_command(iscsi_context*, int status, void*, void* command);
    static void on_function(iscsi_context*, int status, void* response, void* function);

    runtime::Reactor& reactor_;
    CommandPolicy policy_;
    std::uint64_t patience_ns_, function_limit_ns_;
    int lun_; // the first two bytes of the LUN field
    IscsiUnitCounters counters_;
    std::unique_ptr<runtime::Timer> timer_;
    std::vector<std::unique_ptr<Command>> commands_; // all
    std::vector<Command*> free_;
    std::vector<Command*> in_flight_;
    std::deque<Command*> waiting_;  // for the session
    std::vector<Command*> retired_; // over, but what is queued in libiscsi may still point to them
    std::list<Function> functions_;
    std::vector<const Nexus*> nexuses_;
    std::vector<std::function<void()>> after_session_; // to be called when it has gone
    std::optional<std::uint64_t> down_since_ns_;       // empty while the session is up
    IscsiSession session_;                             // the last one: its end calls back
};

} // namespace touka::scsi
