#pragma once

#include <liburing.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "runtime/reactor.hpp"
#include "storage/step_workers.hpp"
#include "storage/task_queue.hpp"

namespace touka::storage {

/// A queue on a file by an io_uring of its own, whose completions the reactor sees on the ring's descriptor. A read
/// that is committed alone is tried without the ring first: where the page cache has it, that takes a fifth less time.
class UringQueue final : public TaskQueue {
public:
    /// Makes the ring on the reactor's thread, which alone enters it.
    /// @return nothing where the kernel or a container's filter does not permit io_uring.
    [[nodiscard]] static std::unique_ptr<UringQueue> create(OpenFile& file, runtime::Reactor& reactor,
                                                            std::uint32_t depth);
    /// May this process have a ring at all?
    [[nodiscard]] static bool permitted();
    /// Waits for what is in flight and completes it, on the reactor's thread.
    ~UringQueue() override;
    /// Requests that the kernel finished at once (the page cache had the data) complete in here.
    void commit() override;

private:
    static constexpr unsigned kReapBatch = 32;
    static constexpr unsigned kMaxRounds = 8;
    static constexpr unsigned kWorkerLimit = 1024; // several queues' worth
    static constexpr std::uint64_t kRetryNs = 1'000'000;

    UringQueue(OpenFile& file, runtime::Reactor& reactor, std::uint32_t depth, const io_uring& ring);
    void start(std::uint32_t task_index) override;
    void put_into_ring(std::uint32_t task_index);
    [[nodiscard]] bool read_at_once();
    void enter_kernel();
    bool reap();
    void drain();

    runtime::Reactor& reactor_;
    io_uring ring_;
    bool fixed_file_ = false;
    bool committing_ = false;
    std::optional<std::uint32_t> lone_; // a read that is not in the ring yet; then nothing else waits there
    std::size_t discards_in_flight_ = 0;
    std::unique_ptr<StepWorkers> discarder_; // block devices only
    std::unique_ptr<runtime::Timer> retry_;
    std::unique_ptr<runtime::Reactor::Watch> watch_;
};

} // namespace touka::storage
