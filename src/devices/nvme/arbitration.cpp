// Which queue's command is next. (NVM Express Base 2.0 §3.4.4)
#include <algorithm>

#include "devices/nvme/controller.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;

namespace {

constexpr unsigned kCommandsPerWeight = 32; // of the pacer: in one turn, before the reactor does something else
// With weights: the admin queue, urgent ones, and three classes that share the rest. Without: all are of the first.
constexpr unsigned kUrgentClass = 1, kHighClass = 2, kLowClass = 4;

} // namespace

unsigned Controller::class_of(const SubmissionQueue& queue) const {
    return weighted_ && queue.id() != 0 ? kUrgentClass + queue.setup().priority : 0;
}

bool Controller::ready(const SubmissionQueue& queue) const {
    return !queue.empty() && queue.has_room() && queue.deletion == nullptr && queue.completions().held_back().empty() &&
           (queue.id() == 0 || !shutting_down_);
}

/// Is the function within its limits? Otherwise it comes back when it is.
bool Controller::paced() {
    if (!pacer_.limited()) return true;
    const std::uint64_t now = now_ns();
    const std::uint64_t at = pacer_.ready_at(now);
    if (at > now) pacing_timer_->arm(at);
    return at == now;
}

/// Commands of one class of queues, in turns of bursts. @return how many, `limit` at most.
unsigned Controller::run_class(unsigned queue_class, unsigned limit) {
    const std::uint32_t burst_exponent = features_.arbitration & 0x7;
    const unsigned burst = burst_exponent == 7 ? limit : 1u << burst_exponent;
    std::size_t& next = next_queue_[queue_class];
    const std::size_t count = queues_in_use_;
    unsigned taken = 0;
    for (std::size_t idle_queues = 0; idle_queues < count && taken < limit; next = (next + 1) % count) {
        ++idle_queues;
        for (unsigned i = 0; i < burst && taken < limit; ++i, ++taken) {
            SubmissionQueue* const queue = submission_queues_[next].get(); // a command may delete it
            if (queue == nullptr || class_of(*queue) != queue_class || !ready(*queue)) break;
            if (queue->id() != 0 && !paced()) break;
            if (!run_one(*queue)) return taken + 1;
            idle_queues = 0;
        }
    }
    return taken;
}

/// @return whether there may be more.
bool Controller::run_queues() {
    unsigned budget = kCommandsPerWeight * std::clamp(pacer_.limits().weight, 1u, Pacer::kLargestWeight);
    while (budget > 0 && phase_ == Phase::kEnabled && !failed_) {
        unsigned round = run_class(0, budget);
        if (weighted_) {
            round += run_class(kUrgentClass, budget - round);
            for (unsigned each = kHighClass; each <= kLowClass; ++each) {
                // HPW, MPW and LPW, each less one: bits 31:24, 23:16 and 15:8. (§5.27.1.1)
                const unsigned weight = (features_.arbitration >> (8 * (kLowClass + 1 - each)) & 0xFF) + 1;
                round += run_class(each, std::min(weight, budget - round));
            }
        }
        if (round == 0) return false;
        budget -= round;
    }
    return budget == 0;
}

} // namespace touka::devices::nvme
