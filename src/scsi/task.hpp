// One command on its way between a port and a logical unit.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>

#include "scsi/cdb.hpp"
#include "scsi/nexus.hpp"
#include "scsi/sense.hpp"
#include "spec/scsi/lun.hpp"
#include "spec/scsi/status.hpp"

namespace touka::scsi {

using spec::scsi::Lun;
using spec::scsi::Status;
using spec::scsi::TaskAttribute;

/// Whether there was a response at all. (SAM-6 §5.3.1: command complete; service delivery or target failure)
enum class Delivery : std::uint8_t {
    kComplete,
    kTransportFailure, ///< the way to the target broke; nobody knows whether the command was executed
    kTargetFailure,    ///< the target is reached and cannot execute anything: another way helps no more than this one
};

/// A command with its buffers and, later, its response. A port derives its own, fills the request in, and submits it;
/// whoever executes it fills the response in and calls `complete` exactly once. On the unit's reactor. (SAM-6 §5.1)
class Task {
public:
    Task() = default;
    virtual ~Task() = default;
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;

    // The request. Everything stays valid and unchanged until `complete`.
    Nexus* nexus = nullptr;
    Lun lun;
    std::uint64_t tag = 0; ///< unique among the nexus's tasks; ABORT TASK names it
    TaskAttribute attribute = TaskAttribute::kSimple;
    Cdb cdb;
    /// All that the initiator sends, already here. A command that wants more than that gets only this.
    std::span<const iovec> data_out;
    std::uint64_t data_out_bytes = 0;
    /// The size of the initiator's buffer for what it receives.
    std::uint64_t data_in_limit_bytes = 0;

    /// Memory for the first `bytes` of what the initiator receives; what is stored there has arrived when the task
    /// completes with data_in_bytes saying so. @param bytes up to data_in_limit_bytes.
    /// @return empty when there is no memory: answer BUSY.
    [[nodiscard]] virtual std::span<const iovec> data_in(std::uint64_t bytes) = 0;

    // The response.
    Status status = Status::kGood;
    SenseData sense;
    std::uint64_t data_in_bytes = 0; ///< stored through data_in, from the first on
    /// How much the command moves when buffers are large enough, in its direction: the residual is its difference to
    /// the initiator's buffer, in either direction. (SAM-6 §5.4.3, RFC 7143 §11.4.5)
    std::uint64_t transfer_bytes = 0;
    /// The task was aborted and has no status. Set by whoever runs the unit's task set before `complete`.
    bool aborted = false;
    /// Other than kComplete: the task has no status, either. The port ends the command as an adapter would whose link
    /// went down, and the initiator decides whether to send it again.
    Delivery delivery = Delivery::kComplete;

    /// The task is over; it may be destroyed or used again within this call.
    virtual void complete() = 0;
    /// The task was aborted, and the host does not let go of it in time. Calls nothing of the unit.
    /// @return true when the initiator takes it as ended from now on (`aborted` and `status` are set): `complete` still
    /// comes, and tells nobody. Until then the buffers are the host's, whatever becomes of the session, and `nexus`
    /// points to one with the same name, perhaps without units. False when the buffers are not the port's own, so that
    /// the command cannot be over while the host may still write to them: it ends with `complete` alone.
    [[nodiscard]] virtual bool give_up() { return false; }

    /// For the task set of the unit that has the task.
    struct TaskSetLink {
        Task* previous = nullptr;
        Task* next = nullptr;
        bool started = false;
        bool abort_requested = false;
        bool abort_told = false; ///< its end is told with TASK ABORTED
        bool late = false;       ///< aborted, and has not ended in time
        bool given_up = false;   ///< late, and over for its initiator
    } link;
    /// Makes the object ready for the next command; buffers and request are the port's to fill in.
    void clear_response() {
        status = Status::kGood;
        sense.clear();
        data_in_bytes = transfer_bytes = 0;
        aborted = false;
        delivery = Delivery::kComplete;
        link = {};
    }
};

/// Copies what the initiator sent, from `offset_bytes` on. @return how many bytes there were.
std::size_t copy_from(std::span<const iovec> buffers, std::uint64_t offset_bytes, std::span<std::uint8_t> to);
/// Gives the initiator parameter data: as much of them as the allocation length and its buffer take.
/// @return GOOD, or BUSY when the port has no memory. The task is not completed.
[[nodiscard]] Status put_parameter_data(Task& task, std::span<const std::uint8_t> data,
                                        std::uint64_t allocation_length);
/// Copies into buffers from `offset_bytes` on. @return how many bytes fitted.
std::size_t copy_to(std::span<const iovec> buffers, std::uint64_t offset_bytes, std::span<const std::uint8_t> from);

} // namespace touka::scsi
