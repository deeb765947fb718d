#include "iommu/fault_log.hpp"

#include <algorithm>

#include "spec/vtd/registers.hpp"

namespace touka::iommu {

using namespace spec::vtd;

namespace {

bool occupied(const FaultLogState::Record& record) { return FaultRecordHigh{record.high}.get(fault_record::F); }

} // namespace

bool FaultLog::pending() const { return std::ranges::any_of(state_.records, occupied); }

std::uint32_t FaultLog::status_locked() const {
    if (!pending()) return state_.status;
    return state_.status | fault_status::PPF | std::uint32_t{state_.oldest} << fault_status::kFriShift;
}

std::uint32_t FaultLog::status() const {
    const std::scoped_lock lock(mutex_);
    return status_locked();
}

void FaultLog::record(const Fault& fault) {
    const std::scoped_lock lock(mutex_);
    if ((state_.status & fault_status::PFO) != 0) return; // nothing is recorded until it is cleared (§7.2.1)
    const bool quiet = status_locked() == 0;
    FaultLogState::Record& record = state_.records[state_.next];
    if (occupied(record)) {
        state_.status |= fault_status::PFO;
    } else {
        if (!pending()) state_.oldest = state_.next;
        record.low = fault.address & ~std::uint64_t{0xFFF};
        record.high = FaultRecordHigh{}
                          .set(fault_record::SID, fault.requester.value)
                          .set(fault_record::FR, fault.reason)
                          .set(fault_record::AT, fault.address_type)
                          .set(fault_record::T1, fault.access == memory::DmaAccess::kRead)
                          .set(fault_record::F, true)
                          .raw;
        state_.next = static_cast<std::uint8_t>((state_.next + 1) % kFaultRecordCount);
    }
    if (quiet) event_.raise(); // whoever has not answered the last one is not told again (§7.3)
}

void FaultLog::report(std::uint32_t error) {
    const std::scoped_lock lock(mutex_);
    const bool quiet = status_locked() == 0;
    state_.status |= error;
    if (quiet) event_.raise();
}

void FaultLog::settle() {
    if (status_locked() == 0) event_.settle();
}

void FaultLog::write_status(std::uint32_t value) {
    const std::scoped_lock lock(mutex_);
    state_.status &= ~(value & fault_status::kWriteOneToClear);
    settle();
}

std::uint32_t FaultLog::read_event(unsigned index) const {
    const std::scoped_lock lock(mutex_);
    return event_.read(index);
}

void FaultLog::write_event(unsigned index, std::uint32_t value) {
    const std::scoped_lock lock(mutex_);
    event_.write(index, value);
}

std::uint32_t FaultLog::read_record(unsigned word) const {
    const std::scoped_lock lock(mutex_);
    const FaultLogState::Record& record = state_.records.at(word / 4);
    return static_cast<std::uint32_t>((word % 4 < 2 ? record.low : record.high) >> (32 * (word % 2)));
}

void FaultLog::write_record(unsigned word, std::uint32_t value) {
    const std::scoped_lock lock(mutex_);
    FaultRecordHigh high{state_.records.at(word / 4).high};
    if (word % 4 != 3 || value >> 31 == 0) return;
    state_.records[word / 4].high = high.set(fault_record::F, false).raw;
    for (unsigned i = 0; i < kFaultRecordCount && pending() && !occupied(state_.records[state_.oldest]); ++i)
        state_.oldest = static_cast<std::uint8_t>((state_.oldest + 1) % kFaultRecordCount);
    settle();
}

void FaultLog::reset() {
    const std::scoped_lock lock(mutex_);
    state_ = {};
    event_.reset();
}

FaultLogState FaultLog::save() const {
    const std::scoped_lock lock(mutex_);
    FaultLogState state = state_;
    state.event = event_.state();
    return state;
}

bool FaultLog::restore(const FaultLogState& state) {
    if (state.next >= kFaultRecordCount || state.oldest >= kFaultRecordCount) return false;
    const std::scoped_lock lock(mutex_);
    state_ = state;
    state_.status &= fault_status::kWriteOneToClear;
    event_.restore(state.event);
    return true;
}

} // namespace touka::iommu
