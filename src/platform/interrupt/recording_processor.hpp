#pragma once

#include <cstdint>
#include <vector>

#include "cpu/interrupt_port.hpp"

namespace touka::platform {

/// A processor that only notes what its local APIC tells it. For tests; one thread.
class RecordingProcessor final : public cpu::InterruptTarget {
public:
    void interrupt_pending() override { ++pending; }
    void signal_nmi() override { ++nmis; }
    void signal_init() override { ++inits; }
    void signal_startup(std::uint8_t vector) override { startups.push_back(vector); }

    unsigned pending = 0, nmis = 0, inits = 0;
    std::vector<std::uint8_t> startups;
    std::uint64_t tsc = 0;
};

} // namespace touka::platform
