#pragma once

#include <cstdint>
#include <vector>

#include "devices/nvme/async_events.hpp"
#include "devices/nvme/controller_logs.hpp"
#include "devices/nvme/features.hpp"

namespace touka::devices::nvme {

/// The property registers as the driver last wrote them, and the status.
struct RegisterFile {
    std::uint32_t cc = 0, csts = 0, aqa = 0, interrupt_mask = 0;
    std::uint64_t asq = 0, acq = 0;
    void describe(auto& archive) { archive(cc, csts, aqa, interrupt_mask, asq, acq); }
};

/// One controller with its requests drained. Asynchronous Event Requests are kept by their identifiers.
struct ControllerState {
    static constexpr std::uint16_t kVersion = 1;
    struct Completion {
        std::uint32_t dw0 = 0, dw1 = 0;
        std::uint16_t sq_head = 0, sq_id = 0, cid = 0, status = 0;
        void describe(auto& archive) { archive(dw0, dw1, sq_head, sq_id, cid, status); }
    };
    struct CompletionQueueState {
        std::uint16_t id = 0, vector = 0;
        std::uint64_t base = 0;
        std::uint32_t size = 0, head = 0, tail = 0;
        bool interrupts = false, phase = true;
        std::vector<Completion> held_back;
        void describe(auto& archive) { archive(id, vector, base, size, head, tail, interrupts, phase, held_back); }
    };
    struct SubmissionQueueState {
        std::uint16_t id = 0, completion_queue = 0;
        std::uint64_t base = 0;
        std::uint32_t size = 0, head = 0, tail = 0;
        std::uint8_t priority = 0;
        void describe(auto& archive) { archive(id, completion_queue, base, size, head, tail, priority); }
    };

    RegisterFile registers;
    bool enabled = false;
    std::vector<CompletionQueueState> completion_queues;
    std::vector<SubmissionQueueState> submission_queues;
    std::vector<std::uint16_t> event_requests;
    Features features;
    AsyncEvents events;
    ControllerLogs logs;
    std::uint64_t shadow_doorbells = 0, event_indices = 0;
    void describe(auto& archive) {
        archive(registers, enabled, completion_queues, submission_queues, event_requests, features, events, logs,
                shadow_doorbells, event_indices);
    }
};

} // namespace touka::devices::nvme
