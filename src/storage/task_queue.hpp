#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "storage/block_device.hpp"
#include "storage/file_task.hpp"
#include "storage/open_file.hpp"

namespace touka::storage {

/// What the queues on a file have in common: the pool of tasks, the bounce buffers, and requests that wait for
/// one of either. Everything on one reactor's thread.
class TaskQueue : public BlockDevice {
public:
    [[nodiscard]] const BlockGeometry& geometry() const final { return file_.geometry; }
    void submit(BlockRequest& request) final;
    [[nodiscard]] bool withdraw(BlockRequest& request) final;
    [[nodiscard]] std::size_t in_flight() const final { return in_flight_; }
    [[nodiscard]] BlockExtent extent_at(std::uint64_t offset_bytes) const final;
    void prefetch(std::uint64_t offset_bytes, std::uint64_t length_bytes) final;

protected:
    /// @param file outlives the queue.  @param depth requests that the kernel works on at once.
    TaskQueue(OpenFile& file, std::uint32_t depth);

    /// Starts the task's step; its result goes to `on_result` later, on the reactor's thread.
    virtual void start(std::uint32_t task_index) = 0;
    /// Starts the next step, or completes the request and launches what waited for its place.
    void on_result(std::uint32_t task_index, std::int64_t result);

    [[nodiscard]] const OpenFile& file() const { return file_; }
    [[nodiscard]] FileTask& task(std::uint32_t index) { return tasks_[index]; }
    [[nodiscard]] std::uint32_t depth() const { return static_cast<std::uint32_t>(tasks_.size()); }

private:
    static constexpr std::size_t kBounceBytes = 256 * 1024;
    static constexpr std::size_t kBounceCount = 16;
    struct Unmap {
        void operator()(std::byte* memory) const { ::munmap(memory, kBounceBytes * kBounceCount); }
    };

    [[nodiscard]] bool launch(BlockRequest& request);
    void launch_waiting();

    OpenFile& file_;
    std::vector<FileTask> tasks_;
    std::vector<std::uint32_t> free_tasks_;
    std::unique_ptr<std::byte, Unmap> bounce_memory_; // pages come with their first use
    std::vector<std::span<std::byte>> free_bounces_;
    std::vector<BlockRequest*> waiting_; // in order, from first_waiting_ on
    std::size_t first_waiting_ = 0;
    std::size_t in_flight_ = 0;
};

} // namespace touka::storage
