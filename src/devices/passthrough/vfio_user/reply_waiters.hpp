#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "devices/passthrough/vfio_user/message_channel.hpp"

namespace touka::devices::passthrough {

/// Who waits for the reply to which message. Any thread.
class ReplyWaiters {
public:
    /// A number for a message whose reply will be waited for. @return nothing when the connection has ended, or all
    /// numbers are taken.
    [[nodiscard]] std::optional<std::uint16_t> begin() {
        const std::scoped_lock lock(mutex_);
        if (closed_ || waiting_.size() >= kLimit) return std::nullopt;
        while (waiting_.contains(++last_id_)) {
        }
        waiting_.emplace(last_id_, std::nullopt);
        return last_id_;
    }
    /// Gives a reply to who waits for it; a reply that nobody waits for, or no more, is dropped.
    void deliver(Message reply) {
        const std::scoped_lock lock(mutex_);
        const auto slot = waiting_.find(reply.header.message_id);
        if (slot == waiting_.end() || slot->second) return;
        slot->second = std::move(reply);
        arrived_.notify_all();
    }
    /// Whether the reply is there, so that `wait` returns at once.
    [[nodiscard]] bool arrived(std::uint16_t id) {
        const std::scoped_lock lock(mutex_);
        const auto slot = waiting_.find(id);
        return closed_ || slot == waiting_.end() || slot->second;
    }
    /// Waits, and gives the number back. @return nothing when the time is over or the connection has ended.
    [[nodiscard]] std::optional<Message> wait(std::uint16_t id, std::chrono::steady_clock::time_point until) {
        std::unique_lock lock(mutex_);
        arrived_.wait_until(lock, until, [&] { return closed_ || waiting_.at(id); });
        auto slot = waiting_.extract(id);
        return std::move(slot.mapped());
    }
    /// Nobody waits any more, nor will.
    void close() {
        const std::scoped_lock lock(mutex_);
        closed_ = true;
        arrived_.notify_all();
    }

private:
    static constexpr std::size_t kLimit = 1024;
    std::mutex mutex_;
    std::condition_variable arrived_;
    std::unordered_map<std::uint16_t, std::optional<Message>> waiting_;
    std::uint16_t last_id_ = 0;
    bool closed_ = false;
};

} // namespace touka::devices::passthrough
