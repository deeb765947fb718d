// The fused operation Compare and Write. (NVM Express Base 2.0 §3.4.2; NVM Command Set 1.0 §2.2) A pair is rare and has
// its namespace to itself: it begins when no command works on it through any controller, and those that come meanwhile
// are held back. Other commands pay for it with a look at a flag.
#include <utility>

#include "devices/nvme/block_range.hpp"
#include "devices/nvme/command_set.hpp"
#include "devices/nvme/controller.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;

namespace {

bool makes_pair(const SubmissionEntry& first, const SubmissionEntry& second) {
    const BlockRange a = BlockRange::of(first), b = BlockRange::of(second);
    return first.opcode == std::to_underlying(IoOpcode::kCompare) &&
           second.opcode == std::to_underlying(IoOpcode::kWrite) && first.nsid == second.nsid &&
           a.first_lba == b.first_lba && a.block_count == b.block_count;
}

} // namespace

/// Both commands are in the queue with one write of the doorbell: a second one that is not there does not come.
void Controller::run_fused(SubmissionQueue& queue, Request& first) {
    Request* now = &first;
    while (!queue.empty()) {
        Request* const next = fetch(queue);
        if (next == nullptr) break;
        const std::uint8_t fuse = next->command.flags & kFuseMask;
        if (fuse == kFuseSecond) {
            if (makes_pair(now->command, next->command)) {
                now->second = next;
                return start_pair(*now);
            }
            complete(*now, Status::kInvalidField);
            return complete(*next, Status::kInvalidField);
        }
        complete(*now, Status::kAbortedMissingFused);
        if (fuse != kFuseFirst) return begin(*next);
        now = next;
    }
    complete(*now, Status::kAbortedMissingFused);
}

void Controller::start_pair(Request& first) {
    if (const Status status = open_namespace(first, NamespaceView::kReadable); status != Status::kSuccess) {
        return complete(first, status);
    }
    first.namespace_use.end(); // it waits for the others
    Namespace& ns = *first.ns->ns;
    if (ns.exclusive.exchange(true)) return behind_pairs_.push_back(&first); // pairs with open_namespace()
    first.second->exclusive = &ns;
    subsystem_.when_quiet(ns.nsid(), nullptr,
                          [this, &first] { context_.reactor.post([this, &first] { compare_first(first); }); });
}

void Controller::compare_first(Request& first) {
    if (phase_ != Phase::kEnabled) return complete(first, Status::kAbortRequested);
    if (const Outcome outcome = compare(*this, first)) complete(first, *outcome);
}

void Controller::run_second(Request& second, Status first_status) {
    if (first_status != Status::kSuccess || phase_ != Phase::kEnabled) {
        return complete(second, Status::kAbortedFailedFused);
    }
    if (const Outcome outcome = write(*this, second)) complete(second, *outcome);
}

void Controller::end_exclusive(Namespace& ns) {
    ns.exclusive.store(false);
    subsystem_.pair_ended();
}

void Controller::resume_behind_pairs() {
    for (Request* const request : std::exchange(behind_pairs_, {})) {
        if (phase_ != Phase::kEnabled) {
            complete(*request, Status::kAbortRequested);
        } else if (request->second != nullptr) {
            start_pair(*request);
        } else {
            begin(*request);
        }
    }
}

} // namespace touka::devices::nvme
