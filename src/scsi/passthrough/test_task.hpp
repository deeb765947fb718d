// A task for tests of units, with buffers of its own, and a way for the test's thread to wait for its end.
#pragma once

#include <chrono>
#include <cstdint>
#include <future>
#include <vector>

#include "scsi/task.hpp"

namespace touka::scsi::test {

class TestTask final : public Task {
public:
    TestTask(Nexus& of, std::vector<std::uint8_t> cdb_bytes, std::size_t in_bytes = 0,
             std::vector<std::uint8_t> out_bytes = {})
        : in(in_bytes), out(std::move(out_bytes)) {
        nexus = &of;
        cdb = Cdb(cdb_bytes);
        data_in_limit_bytes = in_bytes;
        out_buffer_ = {out.data(), out.size()};
        data_out = {&out_buffer_, out.empty() ? 0u : 1u};
        data_out_bytes = out.size();
    }
    std::span<const iovec> data_in(std::uint64_t bytes) override {
        // Two pieces, as a guest's buffers are.
        const std::size_t first = bytes / 2;
        in_buffers_[0] = {in.data(), first};
        in_buffers_[1] = {in.data() + first, bytes - first};
        return first > 0 ? std::span(in_buffers_) : std::span(in_buffers_).last(1);
    }
    void complete() override {
        ++completions;
        end_.set_value();
    }
    /// @return whether it ended in time.
    bool wait(std::chrono::milliseconds limit = std::chrono::seconds(20)) {
        return end_future_.wait_for(limit) == std::future_status::ready;
    }

    std::vector<std::uint8_t> in, out;
    int completions = 0;

private:
    std::promise<void> end_;
    std::future<void> end_future_ = end_.get_future();
    iovec in_buffers_[2]{};
    iovec out_buffer_{};
};

} // namespace touka::scsi::test
