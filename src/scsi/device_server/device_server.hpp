// What all device types have in common: tasks in order, unit attentions, reservations, the checks before a command,
// task management. Commands are added by the parts of a unit. (SAM-6 §4.13, SPC-5 §4.2, §5)
// Absent: ACA (NORMACA is 0; clear ACA answers function rejected), several task sets, CRN, command priority.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "runtime/timers.hpp"
#include "scsi/device_server/abortions.hpp"
#include "scsi/device_server/command.hpp"
#include "scsi/device_server/late_tasks.hpp"
#include "scsi/device_server/task_set.hpp"
#include "scsi/device_server/unit_attentions.hpp"
#include "scsi/logical_unit.hpp"

namespace touka::scsi {

/// Reservations as the checks before a command see them.
class ReservationPolicy {
public:
    virtual ~ReservationPolicy() = default;
    [[nodiscard]] virtual bool conflicts(const NexusName& nexus, ReservationClass command) const = 0;
};

/// A part of a unit that wants to know what happens to the unit or a nexus.
class UnitEvents {
public:
    virtual ~UnitEvents() = default;
    /// Logical unit reset, by whatever caused it; before its tasks end. (SAM-6 §6.3.3)
    virtual void logical_unit_reset() {}
    /// The nexus is lost. (SAM-6 §6.3.4)
    virtual void nexus_lost(const NexusName&) {}
    /// Another nexus preempted and aborted this one; what it prevented (PREVENT ALLOW MEDIUM REMOVAL) is allowed again.
    virtual void nexus_preempted(const NexusName&) {}
};

struct DeviceServerCounters {
    std::uint64_t commands = 0;
    std::uint64_t check_conditions = 0;
    std::uint64_t reservation_conflicts = 0;
    std::uint64_t aborted_tasks = 0;
    std::uint64_t given_up_tasks = 0; ///< of them: ended for the initiator before the host let go of them
    std::uint64_t data_in_bytes = 0, data_out_bytes = 0;
};

class DeviceServer final : public LogicalUnit {
public:
    DeviceServer() = default;

    // How a unit is put together; before the first task.
    void add(Command command) { commands_.add(std::move(command)); }
    /// @param policy outlives the server.
    void set_reservations(const ReservationPolicy& policy) { reservations_.push_back(&policy); }
    void add_observer(UnitEvents& observer) { observers_.push_back(&observer); }
    /// Asked before every command. @return the sense to refuse it with.
    void add_gate(std::function<std::optional<Sense>(const Task&)> gate) { gates_.push_back(std::move(gate)); }
    /// Asked before commands that need a ready unit. @return the sense of a unit that is not.
    void set_readiness(std::function<std::optional<Sense>()> readiness) { readiness_ = std::move(readiness); }
    /// Called after tasks in flight were aborted (Task::link.abort_requested): ends those that the host has not begun
    /// with.
    void set_withdrawal(std::function<void()> withdraw) { withdraw_ = std::move(withdraw); }
    /// Tasks that are aborted and do not end in time are given up, and what waits for those that cannot be is told so;
    /// without it an abort takes as long as the host's requests take.
    /// @param timers the reactor's.
    void limit_aborts(runtime::Timers& timers, std::uint64_t limit_ns = kAbortLimitNs);
    /// Called by commit().
    void set_on_commit(std::function<void()> on_commit) { on_commit_ = std::move(on_commit); }
    /// D_SENSE, from the Control mode page.
    void set_sense_format(SenseFormat format) { sense_format_ = format; }
    [[nodiscard]] SenseFormat sense_format() const { return sense_format_; }
    /// TAS, from the same page: tasks that another nexus aborts end with TASK ABORTED instead of silently.
    void set_task_aborted_status(bool told) { task_aborted_status_ = told; }

    // LogicalUnit
    void submit(Task& task) override;
    void commit() override {
        if (on_commit_) on_commit_();
    }
    void manage(TaskManagementFunction function, Nexus& nexus, std::uint64_t tag,
                std::function<void(TaskManagementResponse)> done) override;
    void attach(Nexus& nexus) override;
    void detach(Nexus& nexus, std::function<void()> done) override;
    void inventory_changed(Nexus& nexus) override {
        attentions_.establish(nexus.name, SenseCode::kReportedLunsDataHasChanged);
    }
    void inventory_reported(Nexus& nexus) override {
        attentions_.clear(nexus.name, SenseCode::kReportedLunsDataHasChanged);
    }

    // How a command ends; each is called once for a task, and the task is gone afterwards.
    void good(Task& task) { finish(task, Status::kGood); }
    void check(Task& task, const Sense& sense) { check(task, encode(sense, sense_format_)); }
    void check(Task& task, const SenseData& sense);
    void finish(Task& task, Status status);
    /// GOOD with parameter data: as much of them as the allocation length and the initiator's buffer take.
    void reply(Task& task, std::span<const std::uint8_t> data, std::uint64_t allocation_length);
    /// The parameter list, `length` bytes of the CDB's PARAMETER LIST LENGTH; sets the task's transfer_bytes.
    /// @return fewer bytes when the initiator sent fewer.
    [[nodiscard]] static std::vector<std::uint8_t> parameters(Task& task, std::size_t length);

    // What a command would be refused with, for those who act in a nexus's name (EXTENDED COPY).
    [[nodiscard]] std::optional<Sense> check_gates(const Task& task) const;
    [[nodiscard]] bool conflicts(const NexusName& nexus, ReservationClass command) const;

    [[nodiscard]] UnitAttentions& attentions() { return attentions_; }
    [[nodiscard]] const CommandSet& commands() const { return commands_; }
    /// No nexus is attached and no task is left, neither for an initiator nor for the host.
    [[nodiscard]] bool idle() const { return tasks_.empty() && late_.empty() && attentions_.empty(); }
    /// May a late task change the medium under whoever accesses it now? Such commands are answered BUSY.
    [[nodiscard]] bool medium_blocked() const {
        return late_.block_medium() ||
               std::ranges::any_of(foreign_writes_, [](const Task* task) { return task->link.late; });
    }
    /// While this lives, a task of another unit writes to this one's medium. (EXTENDED COPY)
    class ForeignWrite {
    public:
        ForeignWrite(DeviceServer& server, const Task& task) : server_(server), task_(task) {
            server_.foreign_writes_.push_back(&task_);
        }
        ~ForeignWrite() { std::erase(server_.foreign_writes_, &task_); }
        ForeignWrite(const ForeignWrite&) = delete;
        ForeignWrite& operator=(const ForeignWrite&) = delete;

    private:
        DeviceServer& server_;
        const Task& task_;
    };
    [[nodiscard]] const DeviceServerCounters& counters() const { return counters_; }
    [[nodiscard]] std::optional<Sense> readiness() const { return readiness_ ? readiness_() : std::nullopt; }
    /// Ends every task of these nexuses, as another nexus's doing, and tells the observers. (SPC-5 §5.14.11.6)
    /// @param spared this one goes on: the PREEMPT AND ABORT itself.
    /// @param done called once, perhaps before this returns, when the last of those tasks has completed, or when the
    /// time for it is over: then the medium is blocked for as long as one of them could write to it.
    void abort_tasks_of(std::span<const NexusName> nexuses, const Task* spared, std::function<void()> done);
    /// Everything as after LOGICAL UNIT RESET. @param done called after the last task has completed or was given up.
    void reset(SenseCode unit_attention, std::function<void()> done);

private:
    void start_what_may();
    void start(Task& task);
    void reset(SenseCode unit_attention, const Nexus* by, Abortions::WhenLate when_late, Abortions::Done done);
    /// Ends those tasks that `ends` picks. @param by whose doing it is; null: no nexus's.
    template <class Ends>
    void abort(Ends ends, const Nexus* by, Abortions::WhenLate when_late, Abortions::Done done);
    void release(Task& task);
    void give_up_late_tasks();
    /// @return those who have nobody to wait for any more.
    [[nodiscard]] std::vector<Abortions::Done> give_up(Task& task);
    [[nodiscard]] bool changes_medium(const Task& task) const;

    CommandSet commands_;
    TaskSet tasks_;
    UnitAttentions attentions_;
    std::vector<const ReservationPolicy*> reservations_;
    std::vector<UnitEvents*> observers_;
    std::vector<std::function<std::optional<Sense>(const Task&)>> gates_;
    std::function<std::optional<Sense>()> readiness_;
    std::function<void()> on_commit_, withdraw_;
    SenseFormat sense_format_ = SenseFormat::kFixed;
    DeviceServerCounters counters_;
    bool task_aborted_status_ = false;
    bool starting_ = false;
    Abortions abortions_;
    LateTasks late_;
    std::vector<const Task*> foreign_writes_;
};

} // namespace touka::scsi
