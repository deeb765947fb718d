#include "devices/nvme/controller_state.hpp"

#include <algorithm>

#include "devices/nvme/controller.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;
using migration::RestoreError;

ControllerState Controller::save() {
    ControllerState state;
    context_.reactor.run_and_wait([this, &state] {
        state.registers = *registers_.lock();
        state.enabled = phase_ == Phase::kEnabled;
        for (const auto& queue : completion_queues_) {
            if (queue == nullptr) continue;
            auto& saved = state.completion_queues.emplace_back();
            const CompletionQueue::Setup& setup = queue->setup();
            saved.id = setup.id, saved.vector = setup.vector, saved.base = setup.base, saved.size = setup.size;
            saved.interrupts = setup.interrupts;
            saved.head = queue->head(), saved.tail = queue->tail(), saved.phase = queue->phase();
            for (const CompletionEntry& entry : queue->held_back()) {
                saved.held_back.push_back(
                    {entry.dw0, entry.dw1, entry.sq_head, entry.sq_id, entry.cid, entry.status_phase});
            }
        }
        for (const auto& queue : submission_queues_) {
            if (queue == nullptr) continue;
            const SubmissionQueue::Setup& setup = queue->setup();
            state.submission_queues.push_back({setup.id, queue->completions().id(), setup.base, setup.size,
                                               queue->head(), queue->tail(), setup.priority});
        }
        for (const Request* const request : event_requests_) state.event_requests.push_back(request->command.cid);
        state.features = features_;
        state.features.timestamp_ms += (now_ns() - features_.timestamp_set_ns) / 1'000'000;
        state.events = events_;
        state.logs = logs_;
        state.logs.counters.power_on_ns += powered_ns();
        state.shadow_doorbells = shadow_doorbells_, state.event_indices = event_indices_;
    });
    return state;
}

namespace {

/// Numbers that could not have been saved: of a damaged state, or of a controller of another size.
bool plausible(const ControllerState& state, std::size_t queue_pairs, std::uint16_t vectors) {
    const auto fits = [&](const auto& queue) {
        return queue.id < queue_pairs && queue.size >= 2 && queue.size <= 4096 && queue.head < queue.size &&
               queue.tail < queue.size;
    };
    const auto has_completions = [&](const auto& queue) {
        return std::ranges::any_of(state.completion_queues,
                                   [&](const auto& each) { return each.id == queue.completion_queue; });
    };
    return std::ranges::all_of(state.completion_queues,
                               [&](const auto& queue) { return fits(queue) && queue.vector < vectors; }) &&
           std::ranges::all_of(state.submission_queues,
                               [&](const auto& queue) { return fits(queue) && has_completions(queue); }) &&
           state.event_requests.size() <= AsyncEvents::kRequestLimit &&
           Cc{state.registers.cc}.get(cc::MPS) <= Controller::kMaximumPageShift;
}

} // namespace

std::expected<void, RestoreError> Controller::restore(const ControllerState& state) {
    if (!plausible(state, submission_queues_.size(), configuration_.vectors)) {
        return std::unexpected(RestoreError::kMismatch);
    }
    if (state.enabled && (state.submission_queues.empty() || state.submission_queues.front().id != 0)) {
        return std::unexpected(RestoreError::kMismatch);
    }
    online_ = subsystem_.online(id());
    context_.reactor.run_and_wait([this, &state] {
        restoring_ = true; // what is reserved is the subsystem's state
        begin_reset(true);
        restoring_ = false;
        if (phase_ == Phase::kDisabled) take_state(state);
    });
    return {};
}

void Controller::take_state(const ControllerState& state) {
    *registers_.lock() = state.registers;
    features_ = state.features;
    features_.timestamp_set_ns = now_ns();
    if (features_.host_id != std::array<std::uint8_t, 16>{}) {
        subsystem_.set_host(*this, HostIdentity{features_.host_id, 0xFFFF});
    }
    events_ = state.events;
    logs_ = state.logs;
    shadow_doorbells_ = state.shadow_doorbells, event_indices_ = state.event_indices;
    if (!state.enabled) return;
    phase_ = Phase::kEnabled;
    failed_ = Csts{state.registers.csts}.get(csts::CFS);
    page_bytes_ = 4096u << Cc{state.registers.cc}.get(cc::MPS);
    weighted_ = Cc{state.registers.cc}.get(cc::AMS) == cc::kWeightedRoundRobin;
    take_limits();
    for (const auto& saved : state.completion_queues) {
        add_queue(CompletionQueue::Setup{saved.id, saved.base, saved.size, saved.vector, saved.interrupts});
        CompletionQueue& queue = *completion_queues_[saved.id];
        queue.set_position(saved.head, saved.tail, saved.phase);
        for (const auto& entry : saved.held_back) {
            queue.hold_back({entry.dw0, entry.dw1, entry.sq_head, entry.sq_id, entry.cid, entry.status});
        }
        doorbells_.set(2 * std::size_t{saved.id} + 1, saved.head);
    }
    for (const auto& saved : state.submission_queues) {
        add_queue(SubmissionQueue::Setup{saved.id, saved.base, saved.size, saved.priority},
                  *completion_queues_[saved.completion_queue]);
        submission_queues_[saved.id]->set_position(saved.head, saved.tail);
        doorbells_.set(2 * std::size_t{saved.id}, saved.tail);
    }
    for (const std::uint16_t cid : state.event_requests) {
        SubmissionQueue& admin = *submission_queues_[0];
        if (!admin.has_room()) break;
        Request& request = admin.take();
        request.command = {};
        request.command.cid = cid;
        event_requests_.push_back(&request);
    }
}

} // namespace touka::devices::nvme
