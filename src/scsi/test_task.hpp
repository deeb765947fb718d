// A task for tests: its buffers are vectors, and it records that and how it completed.
#pragma once

#include <algorithm>
#include <functional>
#include <span>
#include <vector>

#include "scsi/task.hpp"

namespace touka::scsi {

class TestTask final : public Task {
public:
    /// @param data_in_limit the size of the initiator's buffer, in bytes.
    TestTask(Nexus& from, std::vector<std::uint8_t> cdb_bytes, std::vector<std::uint8_t> data = {},
             std::uint64_t data_in_limit = 65536)
        : sent(std::move(data)) {
        nexus = &from;
        cdb = Cdb(cdb_bytes);
        out_ = {sent.data(), sent.size()};
        if (!sent.empty()) data_out = std::span(&out_, 1);
        data_out_bytes = sent.size();
        data_in_limit_bytes = data_in_limit;
    }

    [[nodiscard]] std::span<const iovec> data_in(std::uint64_t bytes) override {
        if (no_memory || bytes > data_in_limit_bytes) return {};
        buffer_.resize(std::max<std::size_t>(buffer_.size(), bytes));
        in_ = {buffer_.data(), bytes};
        return {&in_, 1};
    }
    void complete() override {
        ++completions;
        if (on_complete) on_complete(*this);
    }
    [[nodiscard]] bool give_up() override {
        if (own_memory) given_up = true;
        return own_memory;
    }

    /// What the initiator received.
    [[nodiscard]] std::span<const std::uint8_t> received() const { return std::span(buffer_).first(data_in_bytes); }
    [[nodiscard]] bool completed() const { return completions == 1; }
    /// The additional sense code; nothing without sense data.
    [[nodiscard]] std::optional<SenseCode> sense_code() const {
        const auto decoded = sense.decode();
        return decoded ? std::optional(decoded->code) : std::nullopt;
    }
    [[nodiscard]] std::optional<SenseKey> sense_key() const {
        const auto decoded = sense.decode();
        return decoded ? std::optional(decoded->key) : std::nullopt;
    }

    std::vector<std::uint8_t> sent; ///< unchanged while the task is on its way
    bool no_memory = false;         ///< data_in has none
    bool own_memory = true;         ///< may be given up
    bool given_up = false;
    int completions = 0;
    std::function<void(TestTask&)> on_complete;

private:
    iovec out_{}, in_{};
    std::vector<std::uint8_t> buffer_;
};

} // namespace touka::scsi
