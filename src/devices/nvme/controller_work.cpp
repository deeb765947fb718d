#include <algorithm>
#include <utility>

#include "devices/nvme/command_set.hpp"
#include "devices/nvme/controller.hpp"
#include "devices/nvme/data_pointer.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;

namespace {

constexpr std::uint64_t kCoalescingUnitNs = 100'000;

} // namespace

void Controller::woken() {
    (void)wake_.consume();
    waking_.store(false);
    work();
}

void Controller::work() {
    if (paused_) return; // what is rung stays rung
    take_doorbells();
    if (run()) wake();
}

bool Controller::poll() {
    if (paused_ || !take_polled_doorbells()) return false;
    if (run()) wake();
    return true;
}

void Controller::take_doorbells() {
    doorbells_.take([this](std::size_t index) { on_doorbell(index); });
    if (context_.polled) (void)take_polled_doorbells();
}

bool Controller::take_polled_doorbells() {
    return doorbells_.take_changed(2 * queues_in_use_, [this](std::size_t index) { on_doorbell(index); });
}

bool Controller::run() {
    if (phase_ != Phase::kEnabled || failed_ || !context_.port.bus_master()) return false;
    const auto use = context_.dma.use(); // for the queues, and what the commands reach
    working_ = true;
    if (shadow_doorbells_ != 0) read_shadow_doorbells();
    const bool more = run_queues();
    gathering_ = true;
    commit_volumes();
    gathering_ = false;
    post_gathered();
    hold_what_lasts();
    working_ = false;
    signal_completions();
    update_pin();
    return more;
}

void Controller::on_doorbell(std::size_t index) {
    if (phase_ != Phase::kEnabled) return;
    const auto queue = static_cast<std::uint32_t>(index / 2);
    const auto bad = [this](std::uint8_t what) {
        events_.add(EventType::kError, what, LogId::kErrors);
        tell_events();
    };
    // With shadow doorbells a write only wakes; admin queues are not shadowed by drivers.
    const bool shadowed = shadow_doorbells_ != 0 && queue != 0;
    if (index % 2 == 0) {
        SubmissionQueue* const target = submission_queue(queue);
        if (target == nullptr) return bad(kErrorInvalidDoorbellRegister);
        if (!shadowed && !target->set_tail(doorbells_.value(index))) return bad(kErrorInvalidDoorbellValue);
        return;
    }
    CompletionQueue* const target = completion_queue(queue);
    if (target == nullptr) return bad(kErrorInvalidDoorbellRegister);
    if (shadowed) return;
    if (!target->set_head(doorbells_.value(index))) return bad(kErrorInvalidDoorbellValue);
    after_post(*target, target->flush(context_.dma));
}

/// @return false: the controller does not go on.
bool Controller::run_one(SubmissionQueue& queue) {
    Request* const request = fetch(queue);
    if (request == nullptr) return false;
    const bool fused = queue.id() != 0 && (request->command.flags & kFuseMask) == kFuseFirst;
    fused ? run_fused(queue, *request) : begin(*request);
    return phase_ == Phase::kEnabled && !failed_;
}

/// @return null: the controller has failed.
Request* Controller::fetch(SubmissionQueue& queue) {
    Request* const request = queue.fetch(context_.dma);
    if (request == nullptr) {
        fail();
        return nullptr;
    }
    ++active_;
    if (queue.id() != 0 && pacer_.limited()) pacer_.charge_command(now_ns());
    return request;
}

void Controller::begin(Request& request) {
    const Outcome outcome = execute(request);
    if (outcome == kBehindPair) return behind_pairs_.push_back(&request);
    if (outcome) complete(request, *outcome);
}

bool Controller::offers(const Command& command) const {
    return !command.primary_only || !configuration_.virtual_function;
}

Outcome Controller::execute(Request& request) {
    const bool admin = request.queue->id() == 0;
    const std::uint8_t fuse = request.command.flags & kFuseMask;
    if (fuse == kFuseSecond && !admin) return Status::kAbortedMissingFused;
    if (fuse != 0) return Status::kInvalidField;
    const Command* const command = find_command(admin ? admin_commands() : io_commands(), request.command.opcode);
    if (command == nullptr || !offers(*command)) return Status::kInvalidOpcode;
    return command->execute(*this, request);
}

// --- shadow doorbells (§5.11) ---

void Controller::read_shadow_doorbells() {
    const auto shadow = [this](std::size_t index) -> std::optional<std::uint32_t> {
        const auto word = shared_word(shadow_doorbells_, index, memory::DmaAccess::kRead);
        if (word == nullptr) return std::nullopt;
        return std::atomic_ref(*word).load() & 0xFFFF;
    };
    for (std::uint32_t id = 1; id < completion_queues_.size(); ++id) {
        CompletionQueue* const completions = completion_queue(id);
        if (completions == nullptr) continue;
        // A full queue has to hear of the next entry that is taken, and the pin of each, to go down; others do not
        // care. The driver looks at the index after it stored the head, so the head is read again after the index is
        // stored.
        for (auto head = shadow(2 * id + 1); head && completions->set_head(*head);) {
            after_post(*completions, completions->flush(context_.dma));
            if (completions->held_back().empty() && context_.port.message_signalled()) break;
            write_event_index(2 * id + 1, completions->head());
            const auto again = shadow(2 * id + 1);
            if (again == head) break;
            head = again;
        }
    }
    for (std::uint32_t id = 1; id < submission_queues_.size(); ++id) {
        SubmissionQueue* const queue = submission_queue(id);
        if (queue == nullptr) continue;
        // The driver looks at the index after it stored the tail, so the tail is read again after the index is stored.
        for (std::optional<std::uint32_t> tail = shadow(2 * id); tail;) {
            if (!queue->set_tail(*tail)) break;
            write_event_index(2 * id, *tail);
            const auto again = shadow(2 * id);
            if (again == tail) break;
            tail = again;
        }
    }
}

std::uint32_t* Controller::shared_word(std::uint64_t page, std::size_t index, memory::DmaAccess access) {
    const auto place = context_.dma.translate(memory::Iova{page + index * kDoorbellBytes}, kDoorbellBytes, access);
    if (!place || place->size() != kDoorbellBytes) return nullptr;
    return reinterpret_cast<std::uint32_t*>(place->data());
}

/// Sequentially consistent, as the look at the tail after it.
void Controller::write_event_index(std::size_t index, std::uint32_t value) {
    std::uint32_t* const word = shared_word(event_indices_, index, memory::DmaAccess::kWrite);
    if (word == nullptr) return; // a driver that took the page away rings always
    std::atomic_ref(*word).store(value);
    context_.dma.written(std::as_bytes(std::span(word, 1)));
}

// --- the way back ---

void Controller::complete(Request& request, Status status) {
    if (status != Status::kSuccess) log_error(request, status);
    if (phase_ == Phase::kEnabled) post_completion(request, status);
    Request* const second = std::exchange(request.second, nullptr);
    Namespace* const exclusive = std::exchange(request.exclusive, nullptr);
    finish_request(request);
    if (exclusive != nullptr) end_exclusive(*exclusive);
    if (second != nullptr) run_second(*second, status);
    if (working_) return;
    commit_volumes();
    // Completions come in batches: one interrupt for those that this turn of the reactor brings.
    if (active_ > 0) {
        if (!std::exchange(signal_posted_, true)) context_.reactor.post([this] { signal_posted(); });
        return;
    }
    signal_completions();
    update_pin();
}

void Controller::signal_posted() {
    signal_posted_ = false;
    signal_completions();
    update_pin();
}

void Controller::finish_request(Request& request) {
    SubmissionQueue& queue = *request.queue;
    const bool stalled = !queue.has_room();
    if (!request.bounce.empty()) {
        if (Request* const next = bounce_buffers_.give_back(request)) {
            context_.reactor.post([this, next] { start_bounced(*next); });
        }
    }
    queue.give_back(request);
    --active_;
    if (stalled) wake();
    // Not here: a volume may be calling a function that the queue owns.
    const bool queue_over = queue.deletion != nullptr && queue.in_flight() == 0;
    if (queue_over) context_.reactor.post([this, id = queue.id()] { finish_deletion(id); });
    if (active_ == 0 && (phase_ == Phase::kResetting || shutting_down_ || paused_)) {
        context_.reactor.post([this] { settle_down(); });
    }
}

void Controller::start_bounced(Request& request) {
    if (phase_ != Phase::kEnabled) return complete(request, Status::kAbortRequested);
    if (const Outcome outcome = request.start(*this, request)) complete(request, *outcome);
}

void Controller::finish_deletion(std::uint16_t id) {
    SubmissionQueue* const queue = submission_queue(id);
    if (queue == nullptr || queue->deletion == nullptr || queue->in_flight() != 0) return;
    Request& deletion = *queue->deletion;
    --queue->completions().submission_queues;
    submission_queues_[id].reset();
    complete(deletion, Status::kSuccess);
}

void Controller::post_completion(Request& request, Status status) {
    SubmissionQueue& queue = *request.queue;
    auto bits = static_cast<std::uint16_t>(status);
    if (will_fail_again(status)) bits |= kStatusDoNotRetry;
    const CompletionEntry entry{.dw0 = request.dw0,
                                .dw1 = request.dw1,
                                .sq_head = static_cast<std::uint16_t>(queue.head()),
                                .sq_id = queue.id(),
                                .cid = request.command.cid,
                                .status_phase = static_cast<std::uint16_t>(bits << 1)};
    CompletionQueue& completions = queue.completions();
    // Who waits for nothing else gets its answer at once.
    if (!gathering_ || active_ == 1) return after_post(completions, completions.post(context_.dma, entry));
    if (completions.held_back().empty()) gathered_.push_back(&completions);
    completions.hold_back(entry);
}

/// One after the other, with nothing in between: the driver, who looks at the same lines, takes each away once.
void Controller::post_gathered() {
    for (CompletionQueue* const each : gathered_) after_post(*each, each->flush(context_.dma));
    gathered_.clear();
}

void Controller::after_post(CompletionQueue& queue, CompletionQueue::Posted posted) {
    if (posted == CompletionQueue::Posted::kFault) return fail();
    if (queue.signalled) return;
    if (std::ranges::find(unsignalled_, &queue) == unsignalled_.end()) unsignalled_.push_back(&queue);
}

void Controller::commit_volumes() {
    while (!uncommitted_.empty()) { // a commit may complete requests, and those submit others
        NamespaceView* const each = uncommitted_.back();
        uncommitted_.pop_back();
        each->uncommitted = false;
        each->opened_volume()->commit();
    }
}

// --- interrupts (§5.27.1.6: coalescing) ---

void Controller::signal_completions(bool time_is_up) {
    const bool coalesces = features_.coalescing_time != 0 && features_.coalescing_threshold != 0;
    std::erase_if(unsignalled_, [&](CompletionQueue* queue) {
        const std::uint16_t vector = queue->setup().vector;
        const bool waits = coalesces && !time_is_up && queue->id() != 0 &&
                           queue->unsignalled <= features_.coalescing_threshold &&
                           std::ranges::find(features_.uncoalesced, vector) == features_.uncoalesced.end();
        if (waits) return false;
        queue->signalled = true;
        queue->unsignalled = 0;
        if (queue->setup().interrupts && context_.port.message_signalled()) context_.port.raise(vector);
        return true;
    });
    if (unsignalled_.empty() || coalescing_armed_) return;
    coalescing_armed_ = true;
    coalescing_timer_->arm(now_ns() + features_.coalescing_time * kCoalescingUnitNs);
}

/// The pin says that some queue has entries that the driver has not taken.
void Controller::update_pin() {
    if (context_.port.message_signalled() || phase_ != Phase::kEnabled) return;
    const auto in_use = std::span(completion_queues_).first(queues_in_use_);
    const bool wanted = std::ranges::any_of(
        in_use, [](const auto& queue) { return queue != nullptr && queue->setup().interrupts && !queue->empty(); });
    context_.port.set_pin(wanted && (registers_.lock()->interrupt_mask & 1) == 0);
}

void Controller::log_error(const Request& request, Status status) {
    if (status == Status::kAbortRequested || status == Status::kAbortedSqDeletion) return;
    const SubmissionEntry& command = request.command;
    if (static_cast<std::uint16_t>(status) >> 8 == 2 && status != Status::kCompareFailure) {
        ++logs_.counters.media_errors;
    }
    logs_.add_error({.sqid = request.queue->id(),
                     .cid = command.cid,
                     .status = static_cast<std::uint16_t>(status),
                     .parameter_location = 0xFFFF,
                     .lba = request.queue->id() == 0 ? 0 : command.cdw10 | std::uint64_t{command.cdw11} << 32,
                     .nsid = command.nsid});
}

} // namespace touka::devices::nvme
