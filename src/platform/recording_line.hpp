#pragma once

#include <atomic>

#include "platform/interrupt_line.hpp"

namespace touka::platform {

/// A wire that leads to nobody: tests see its level and how often it rose. Driven by one thread at a time, read by any.
class RecordingLine final : public InterruptLine {
public:
    void set(bool asserted) override {
        if (asserted && !asserted_.load()) ++rises_;
        asserted_.store(asserted);
    }
    /// As new.
    void forget() {
        asserted_.store(false);
        rises_.store(0);
    }
    [[nodiscard]] bool asserted() const { return asserted_.load(); }
    [[nodiscard]] unsigned rises() const { return rises_.load(); }

private:
    std::atomic<bool> asserted_{false};
    std::atomic<unsigned> rises_{0};
};

} // namespace touka::platform
