#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "scsi/iscsi/output_queue.hpp"
#include "scsi/iscsi/parameters.hpp"
#include "scsi/task.hpp"

namespace touka::scsi::iscsi {

class Connection;
struct TaskStore;

/// A part of a command's data that an R2T asked for and that has not come yet. (RFC 7143 §11.8)
struct SolicitedBurst {
    std::uint32_t target_transfer_tag;
    std::uint32_t end; ///< buffer offset behind it
};

/// A SCSI command of a connection: collects its Data-Out, is with a unit, and sends its response, in this order.
class IscsiTask final : public Task, public OutputOwner {
public:
    [[nodiscard]] std::span<const iovec> data_in(std::uint64_t bytes) override;
    void complete() override;
    [[nodiscard]] bool give_up() override;
    void output_done() override;

    /// Makes it ready for the next command. @pre it has no buffer.
    void reset(Connection& owner);
    [[nodiscard]] SolicitedBurst& oldest_burst() { return bursts[first_burst % bursts.size()]; }

    Connection* connection = nullptr; ///< null once the task was given up
    IscsiTask* next = nullptr;        ///< in the connection's table, then among its responses, then in the pool
    std::span<std::uint8_t> buffer;   ///< of the connection's pool: Data-Out or Data-In
    iovec piece{};                    ///< what of it is in use
    std::uint32_t expected_bytes = 0; ///< Expected Data Transfer Length
    bool reads = false, writes = false, immediate = false;

    // Collecting Data-Out.
    bool with_unit = false;            ///< submitted: nothing is collected any more
    bool unsolicited_open = false;     ///< more unsolicited Data-Out comes
    std::uint32_t wanted_bytes = 0;    ///< all that is collected
    std::uint32_t arrived_bytes = 0;   ///< also the next Buffer Offset
    std::uint32_t solicited_bytes = 0; ///< up to here by what was sent unasked or R2Ts asked for
    std::uint32_t next_data_sn = 0;    ///< of the sequence that arrives
    std::uint32_t r2t_sn = 0;
    std::array<SolicitedBurst, kOutstandingR2tLimit> bursts{}; ///< a ring, oldest first
    std::uint32_t first_burst = 0, burst_count = 0;
    /// The command has failed; it is answered when what was asked for has come. (RFC 7143 §7.8)
    bool refused = false;

    // Responding.
    std::uint32_t sent_bytes = 0; ///< of Data-In
    std::uint32_t data_sn = 0;
    std::array<std::uint8_t, 2 + spec::scsi::kSenseLimitBytes> sense_segment{};

    // Given up: no session has it any more.
    std::shared_ptr<TaskStore> store; ///< shared: the host may be done with the task after everybody else has gone
    std::optional<Nexus> last_nexus;
};

/// Tasks that are free. One reactor.
class TaskPool {
public:
    TaskPool() = default;
    TaskPool(const TaskPool&) = delete;
    TaskPool& operator=(const TaskPool&) = delete;

    [[nodiscard]] IscsiTask& take();
    void give_back(IscsiTask& task);

private:
    std::vector<std::unique_ptr<IscsiTask>> all_;
    IscsiTask* free_ = nullptr;
};

/// The tasks of one connection by their initiator task tag.
class TaskTable {
public:
    [[nodiscard]] IscsiTask* find(std::uint32_t tag) const;
    void add(IscsiTask& task);
    void remove(IscsiTask& task);
    /// Calls `visit` for each task, which it may remove.
    template <class Visit>
    void for_each(Visit visit) {
        for (IscsiTask* task : buckets_) {
            while (task != nullptr) {
                IscsiTask* const next = task->next;
                visit(*task);
                task = next;
            }
        }
    }

private:
    static constexpr std::size_t kBuckets = 128;
    /// Tags are often small numbers, or an index in the low bits and an age above.
    [[nodiscard]] static std::size_t bucket(std::uint64_t tag) { return (tag ^ tag >> 16) % kBuckets; }
    std::array<IscsiTask*, kBuckets> buckets_{};
};

} // namespace touka::scsi::iscsi
