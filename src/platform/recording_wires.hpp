// A kernel that takes eventfds as messages, for tests: who signals does it through this.
#pragma once

#include <unistd.h>

#include <map>
#include <memory>
#include <vector>

#include "platform/interrupt_line.hpp"

namespace touka::platform {

class RecordingWires {
public:
    [[nodiscard]] std::unique_ptr<MsiWire> make_wire(int event) { return std::make_unique<Wire>(*this, event); }
    /// As the device does it: the count stays in the eventfd where no wire takes it.
    void signal(int event) {
        if (const auto found = carried.find(event); found != carried.end()) {
            delivered.push_back(found->second);
            return;
        }
        const std::uint64_t one = 1;
        (void)!::write(event, &one, sizeof one);
    }

    std::map<int, MsiMessage> carried;
    std::vector<MsiMessage> delivered;
    bool full = false;

private:
    class Wire final : public MsiWire {
    public:
        Wire(RecordingWires& kernel, int event) : kernel_(kernel), event_(event) {}
        ~Wire() override { let_go(); }
        [[nodiscard]] bool carry(const MsiMessage& message) override {
            if (!kernel_.full) kernel_.carried[event_] = message;
            return !kernel_.full;
        }
        void let_go() override { kernel_.carried.erase(event_); }

    private:
        RecordingWires& kernel_;
        int event_;
    };
};

} // namespace touka::platform
