// A SCSI device of this host, passed through as it is. (Linux SCSI generic interface)
// Absent, because the interface has none of it: task attributes, aborting one task, residual overflow, commands with
// data in both directions.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/reactor.hpp"
#include "scsi/logical_unit.hpp"
#include "scsi/passthrough/blocking_calls.hpp"
#include "scsi/passthrough/command_policy.hpp"
#include "scsi/passthrough/sg_device.hpp"

namespace touka::scsi {

struct SgUnitConfiguration {
    CommandPolicy policy{};
    std::uint32_t command_limit_ms = 6 * 3'600'000; ///< the kernel's; initiators have their own, which are shorter
    /// How long an abort waits for tasks to end by themselves before it is rejected, or becomes a reset; how long it
    /// waits for that again.
    std::uint32_t abort_patience_ms = 5'000;
    unsigned thread_count = 4; ///< commands at once on a device without the asynchronous interface
};

/// Every CDB goes to the device, and status, sense data and residual come back as the device gave them. Unit
/// attentions, reservations and everything else are the device's, to which all nexuses here are one: its host
/// adapter's.
///
/// The kernel can reset the unit but not abort a task: ABORT TASK and its kin end what has not been handed to the
/// kernel, wait a bounded time for the rest, and are rejected when it has not ended by then, so that the initiator goes
/// on to a logical unit reset, which fails when it takes too long itself. Where there is no function to go on to (a
/// nexus that is lost) the unit is reset; the nexus is there as long as the kernel has commands of it.
class SgUnit final : public LogicalUnit {
public:
    /// @param reactor the target's; outlives the unit.
    SgUnit(runtime::Reactor& reactor, std::unique_ptr<SgDevice> device, SgUnitConfiguration configuration);
    /// @pre no task is left, on the reactor.
    ~SgUnit() override;

    void submit(Task& task) override;
    void commit() override {}
    void manage(TaskManagementFunction function, Nexus& nexus, std::uint64_t tag,
                std::function<void(TaskManagementResponse)> done) override;
    void attach(Nexus&) override {}
    void detach(Nexus& nexus, std::function<void()> done) override;
    void inventory_changed(Nexus&) override {}
    void inventory_reported(Nexus&) override {}

    [[nodiscard]] const CommandPolicy& policy() const { return configuration_.policy; }

    /// Commands that the kernel has at once for one open file. (SG_MAX_QUEUE)
    static constexpr std::size_t kQueueLimit = SG_MAX_QUEUE;

private:
    struct Command;
    /// Somebody waits for tasks to end.
    struct Wait {
        enum class WhenLate { kReject, kReset, kResetAndWait, kKeepWaiting };
        std::vector<Command*> left{};
        bool resetting = false; ///< the reset has not returned yet
        bool reset = false;     ///< there was one
        WhenLate when_late = WhenLate::kReject;
        std::optional<std::uint64_t> deadline_ns{};
        std::function<void(TaskManagementResponse)> done{}; ///< null when it was told before the reset returned
    };
    using Picks = std::function<bool(const Task&)>;

    [[nodiscard]] Command& take_command(Task& task);
    void prepare(Command& command);
    void start_waiting();
    void start(Command& command);
    void on_readable(std::uint32_t epoll_events);
    void finish(Command& command);
    void fail(Command& command, int error);
    void release(Command& command);

    void abort_waiting(const Picks& picks);
    void wait_for(const Picks& picks, Wait::WhenLate when_late, std::function<void(TaskManagementResponse)> done);
    void reset(std::function<void(TaskManagementResponse)> done);
    void reset_for(Wait& wait);
    void forget(const Command& command);
    void finish_waits();
    void on_timer();
    void arm_timer();

    runtime::Reactor& reactor_;
    std::unique_ptr<SgDevice> device_;
    SgUnitConfiguration configuration_;
    std::unique_ptr<runtime::Timer> timer_;
    std::vector<std::unique_ptr<Command>> commands_; // all
    std::vector<Command*> free_;
    std::vector<Command*> started_; // the kernel has them
    std::deque<Command*> waiting_;
    std::list<Wait> waits_;
    bool gone_ = false; // the device was removed
    std::unique_ptr<runtime::Reactor::Watch> watch_;
    BlockingCalls calls_;
    BlockingCalls resets_; // threads of its own: those of commands that hang are not free
};

} // namespace touka::scsi
