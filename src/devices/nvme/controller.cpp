#include "devices/nvme/controller.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <utility>

#include "spec/nvme/log_page.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;

Controller::Controller(Subsystem& subsystem, const ControllerConfiguration& configuration,
                       const ControllerContext& context)
    : subsystem_(subsystem), configuration_(configuration), context_(context), doorbells_(context.doorbells) {
    for (std::uint32_t i = 0; i < subsystem.configuration().namespace_limit; ++i) {
        views_.push_back(std::make_unique<NamespaceView>());
    }
    submission_queues_.resize(configuration.queue_pairs);
    completion_queues_.resize(configuration.queue_pairs);
    unsignalled_.reserve(configuration.queue_pairs);
    uncommitted_.reserve(views_.size());
    coalescing_timer_ = context_.reactor.make_timer([this] {
        coalescing_armed_ = false;
        signal_completions(true);
    });
    pacing_timer_ = context_.reactor.make_timer([this] { wake(); });
    subsystem_.join(*this, configuration.attach_namespaces);
    online_ = subsystem_.online(id());
    watch_ = context_.reactor.watch(wake_.fd(), EPOLLIN, [this](std::uint32_t) { woken(); });
    if (context_.polled) context_.reactor.run_and_wait([this] { polling_ = context_.reactor.poll(*this); });
}

Controller::~Controller() {
    subsystem_.leave(*this); // nobody posts work for this controller any more
    context_.reactor.run_and_wait([this] {
        watch_.reset();
        polling_.reset();
        coalescing_timer_.reset();
        pacing_timer_.reset();
        for (const auto& each : views_) each->close();
    });
}

void Controller::set_online(bool online) {
    if (online_.exchange(online) && !online) context_.reactor.post([this] { begin_reset(true); });
}

// --- enabling (NVMe Base 2.0 §3.5.1) ---

/// Brings the controller to where CC wants it. Runs again when what is in the way is over.
void Controller::registers_changed() {
    const RegisterFile registers = *registers_.lock();
    const Cc cc{registers.cc};
    if (phase_ == Phase::kResetting) return;
    if (phase_ == Phase::kEnabled && !cc.get(cc::EN)) return begin_reset(false);
    if (phase_ == Phase::kDisabled && cc.get(cc::EN)) enable();
    const bool shut = Csts{registers.csts}.get(csts::SHST) != csts::kNoShutdown;
    if (cc.get(cc::SHN) != 0 && !shut && !shutting_down_) begin_shutdown();
}

void Controller::enable() {
    const RegisterFile registers = *registers_.lock();
    phase_ = Phase::kEnabled;
    failed_ = false;
    if (!start_queues(registers)) return fail();
    registers_.lock()->csts = Csts{}.set(csts::RDY, true).raw; // no shutdown of before, either
}

bool Controller::start_queues(const RegisterFile& registers) {
    const Cc cc{registers.cc};
    const Aqa aqa{registers.aqa};
    const std::uint8_t css = cc.get(cc::CSS);
    if (css != cc::kNvm && css != cc::kAllCommandSets && css != cc::kAdminOnly) return false;
    if (cc.get(cc::MPS) > kMaximumPageShift || cc.get(cc::AMS) > cc::kWeightedRoundRobin) return false;
    page_bytes_ = 4096u << cc.get(cc::MPS);
    weighted_ = cc.get(cc::AMS) == cc::kWeightedRoundRobin;
    if (aqa.get(aqa::ASQS) == 0 || aqa.get(aqa::ACQS) == 0) return false;
    if (registers.asq % page_bytes_ != 0 || registers.acq % page_bytes_ != 0) return false;

    take_limits();
    if (queue_limit_ < 2 || vector_limit_ < 1) return false;
    features_.queues = (queue_limit_ - 2u) << 16 | (queue_limit_ - 2u);
    add_queue(CompletionQueue::Setup{0, registers.acq, aqa.get(aqa::ACQS) + 1u, 0, true});
    add_queue(SubmissionQueue::Setup{0, registers.asq, aqa.get(aqa::ASQS) + 1u, 0}, *completion_queues_[0]);
    return true;
}

void Controller::take_limits() {
    const auto counts =
        subsystem_.counts(id()).value_or(VirtualResources::Counts{configuration_.queue_pairs, configuration_.vectors});
    queue_limit_ = std::min(counts.queues, configuration_.queue_pairs);
    vector_limit_ = std::min(counts.vectors, configuration_.vectors);
}

/// Nothing more can be said to the driver but this bit: it resets the controller. (§9.5)
void Controller::fail() {
    failed_ = true;
    auto access = registers_.lock();
    access->csts = Csts{access->csts}.set(csts::CFS, true).raw;
}

// --- reset (§3.7.2) ---

void Controller::function_reset() {
    context_.reactor.run_and_wait([this] {
        function_resetting_.store(true, std::memory_order_release);
        begin_reset(true);
    });
}

void Controller::begin_reset(bool whole_function) {
    if (whole_function) {
        auto access = registers_.lock();
        const std::uint32_t status = access->csts;
        *access = RegisterFile{};
        access->csts = status; // RDY shows when it is over
    }
    if (phase_ != Phase::kResetting) {
        phase_ = Phase::kResetting;
        for (Request* const request : std::exchange(event_requests_, {})) request->queue->give_back(*request);
        while (Request* const request = bounce_buffers_.take_waiting()) complete(*request, Status::kAbortRequested);
        resume_behind_pairs();
        for (const auto& queue : submission_queues_) {
            if (queue == nullptr || queue->deletion == nullptr) continue;
            finish_request(*std::exchange(queue->deletion, nullptr));
        }
    }
    settle_down();
}

void Controller::finish_reset() {
    unsignalled_.clear();
    next_queue_ = {};
    for (auto& queue : submission_queues_) queue.reset();
    for (auto& queue : completion_queues_) queue.reset();
    coalescing_timer_->disarm();
    coalescing_armed_ = false;
    shadow_doorbells_ = event_indices_ = 0;
    doorbells_.clear();
    queues_in_use_ = 0;
    events_ = {};
    features_ = {};
    failed_ = shutting_down_ = false;
    if (!restoring_) subsystem_.forget_unidentified(*this);
    subsystem_.set_host(*this, HostIdentity{{}, id()});
    context_.port.set_pin(false);
    phase_ = Phase::kDisabled;
    {
        auto access = registers_.lock();
        access->csts = 0;
        access->interrupt_mask = 0;
    }
    function_resetting_.store(false, std::memory_order_release);
    registers_changed(); // perhaps it was enabled meanwhile
}

/// Goes on with what waits for the last request: the end of a reset, of a shutdown, pause().
void Controller::settle_down() {
    if (!idle()) return;
    if (phase_ == Phase::kResetting) finish_reset();
    if (shutting_down_ && flushes_.empty()) return begin_shutdown();
    if (!paused_) return;
    {
        const std::scoped_lock lock(idle_mutex_);
        idle_ = true;
    }
    idle_changed_.notify_all();
}

// --- shutdown (§3.6) ---

/// What was acknowledged is made stable before the driver is told that the power may go.
void Controller::begin_shutdown() {
    {
        auto access = registers_.lock();
        access->csts = Csts{access->csts}.set(csts::SHST, csts::kShuttingDown).raw;
    }
    shutting_down_ = true;
    if (active_ != 0) return; // settle_down() comes back here
    std::vector<storage::BlockDevice*> volumes;
    for (const auto& each : views_) {
        if (each->opened_volume() != nullptr && !each->ns->geometry().read_only) {
            volumes.push_back(each->opened_volume());
        }
    }
    flushes_ = std::vector<storage::BlockRequest>(volumes.size());
    flushes_left_ = volumes.size() + 1;
    for (std::size_t i = 0; i < volumes.size(); ++i) {
        flushes_[i].operation = storage::BlockOperation::kFlush;
        flushes_[i].complete = [this](storage::BlockStatus) { finish_shutdown(); };
        volumes[i]->submit(flushes_[i]);
        volumes[i]->commit();
    }
    finish_shutdown();
}

void Controller::finish_shutdown() {
    if (--flushes_left_ != 0) return;
    if (phase_ != Phase::kResetting) {
        shutting_down_ = false;
        auto access = registers_.lock();
        access->csts = Csts{access->csts}.set(csts::SHST, csts::kShutDown).raw;
    }
    context_.reactor.post([this] { flushes_.clear(), settle_down(); }); // not while one of them is calling
}

// --- pausing ---

void Controller::pause() {
    context_.reactor.run_and_wait([this] {
        take_doorbells();
        paused_ = true;
        const std::scoped_lock lock(idle_mutex_);
        idle_ = idle();
    });
    std::unique_lock lock(idle_mutex_);
    idle_changed_.wait(lock, [this] { return idle_; });
    lock.unlock();
    context_.reactor.run_and_wait([this] { signal_completions(true); }); // interrupts that wait are not state
}

void Controller::resume() {
    context_.reactor.run_and_wait([this] {
        paused_ = false;
        tell_events();
    });
    wake();
}

// --- what other controllers did ---

void Controller::namespace_changed(std::uint32_t nsid) {
    context_.reactor.post([this, nsid] {
        logs_.namespace_changed(nsid);
        if ((features_.async_events & kEventNamespaceAttributes) == 0) return;
        events_.add(EventType::kNotice, kNoticeNamespaceAttributes, LogId::kChangedNamespaces);
        tell_events();
    });
}

void Controller::reservation_notice(std::uint32_t nsid, std::uint8_t type) {
    context_.reactor.post([this, nsid, type] {
        const auto& masks = features_.reservation_masks;
        if (nsid <= masks.size() && (masks[nsid - 1] >> type & 1) != 0) return;
        logs_.add_reservation_notice(type, nsid);
        events_.add(EventType::kCommandSet, kCommandSetReservationLog, LogId::kReservations);
        tell_events();
    });
}

} // namespace touka::devices::nvme
