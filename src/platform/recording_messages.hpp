#pragma once

#include <mutex>
#include <utility>
#include <vector>

#include "platform/interrupt_line.hpp"

namespace touka::platform {

/// Messages that reach nobody: tests take what was sent. Any thread.
class RecordingMessages final : public MsiSink {
public:
    void send(const MsiMessage& message) override {
        const std::scoped_lock lock(mutex_);
        messages_.push_back(message);
    }
    /// What was sent since the last call.
    [[nodiscard]] std::vector<MsiMessage> take() {
        const std::scoped_lock lock(mutex_);
        return std::exchange(messages_, {});
    }

private:
    std::mutex mutex_;
    std::vector<MsiMessage> messages_;
};

} // namespace touka::platform
