#include "scsi/disk/range_locks.hpp"

namespace touka::scsi {

namespace {

bool overlap(const BlockRange& a, const BlockRange& b) {
    return a.count != 0 && b.count != 0 && a.lba < b.lba + b.count && b.lba < a.lba + a.count;
}

} // namespace

bool RangeLocks::must_wait(const Claim& claim) const {
    for (const Claim* older = claim.previous; older != nullptr; older = older->previous) {
        if ((claim.exclusive || older->exclusive) && overlap(claim.range, older->range)) return true;
    }
    return false;
}

bool RangeLocks::acquire(Claim& claim) {
    claim.previous = last_;
    claim.next = nullptr;
    (last_ != nullptr ? last_->next : first_) = &claim;
    last_ = &claim;
    if (claim.exclusive) ++exclusive_;
    claim.granted = exclusive_ == 0 || !must_wait(claim);
    if (!claim.granted) ++waiting_;
    return claim.granted;
}

void RangeLocks::release(Claim& claim) {
    (claim.previous != nullptr ? claim.previous->next : first_) = claim.next;
    (claim.next != nullptr ? claim.next->previous : last_) = claim.previous;
    if (claim.exclusive) --exclusive_;
    if (!claim.granted) --waiting_;
    // A grant may end a claim at once and come back here: start over after each.
    for (bool again = waiting_ > 0; again;) {
        again = false;
        for (Claim* waiting = first_; waiting != nullptr; waiting = waiting->next) {
            if (waiting->granted || must_wait(*waiting)) continue;
            waiting->granted = true;
            --waiting_;
            waiting->on_grant(*waiting);
            again = waiting_ > 0;
            break;
        }
    }
}

} // namespace touka::scsi
