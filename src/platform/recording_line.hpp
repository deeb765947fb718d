#pragma once

#include "platform/interrupt_line.hpp"

namespace touka::platform {

/// A wire that leads to nobody: tests see its level and how often it rose. One thread.
class RecordingLine final : public InterruptLine {
public:
    void set(bool asserted) override {
        if (asserted && !asserted_) ++rises_;
        asserted_ = asserted;
    }
    [[nodiscard]] bool asserted() const { return asserted_; }
    [[nodiscard]] unsigned rises() const { return rises_; }

private:
    bool asserted_ = false;
    unsigned rises_ = 0;
};

} // namespace touka::platform
