#include "iommu/invalidation_queue.hpp"

#include <atomic>
#include <cstring>
#include <utility>

namespace touka::iommu {

using namespace spec::vtd;

InvalidationQueue::InvalidationQueue(const Context& context, std::uint64_t device_tlb_timeout_ns)
    : context_(context), event_(context.msi, context.delivery), device_tlbs_(device_tlb_timeout_ns),
      alarm_(context.timers.make_timer([this] { device_tlb_timed_out(); })) {}

bool InvalidationQueue::enabled() const {
    const std::scoped_lock lock(mutex_);
    return state_.enabled;
}

void InvalidationQueue::set_enabled(bool enabled) {
    Lock lock(mutex_);
    if (state_.enabled == enabled) return;
    state_.enabled = enabled;
    state_.head = 0;
    at_wait_ = false;
    run(lock);
}

std::uint64_t InvalidationQueue::read(Offset offset) const {
    const std::scoped_lock lock(mutex_);
    switch (offset) {
        case Offset::IQH: return state_.head;
        case Offset::IQT: return state_.tail;
        case Offset::IQA: return state_.address;
        case Offset::ICS: return state_.completion;
        case Offset::IQERCD: return state_.error;
        default: return 0;
    }
}

void InvalidationQueue::write(Offset offset, std::uint64_t value) {
    Lock lock(mutex_);
    switch (offset) {
        case Offset::IQT:
            state_.tail = value & kQueuePointerMask;
            run(lock);
            break;
        case Offset::IQA:
            // The width bit is kept, so that the queue can say what is wrong with it.
            state_.address =
                value & (queue_address::kAddress |
                         QueueAddress{}.set(queue_address::QS, std::uint8_t{7}).set(queue_address::DW, true).raw);
            break;
        case Offset::ICS:
            if ((value & completion_status::IWC) == 0) break;
            state_.completion = 0;
            event_.settle();
            break;
        default: break;
    }
}

std::uint32_t InvalidationQueue::read_event(unsigned index) const {
    const std::scoped_lock lock(mutex_);
    return event_.read(index);
}

void InvalidationQueue::write_event(unsigned index, std::uint32_t value) {
    const std::scoped_lock lock(mutex_);
    event_.write(index, value);
}

void InvalidationQueue::run() {
    Lock lock(mutex_);
    run(lock);
}

void InvalidationQueue::run(Lock& lock) {
    if (running_) return; // whoever runs looks again before it ends
    running_ = true;
    while (step(lock)) {
    }
    running_ = false;
}

std::uint64_t InvalidationQueue::length_bytes() const {
    return spec::kPageSize << QueueAddress{state_.address}.get(queue_address::QS);
}

void InvalidationQueue::advance() { state_.head = (state_.head + sizeof(InvalidationDescriptor)) % length_bytes(); }

bool InvalidationQueue::fail(QueueErrorInfo info) {
    state_.error = QueueErrorRecord{state_.error}.set(queue_error::IQEI, static_cast<std::uint8_t>(info)).raw;
    context_.faults.report(fault_status::IQE);
    return false;
}

bool InvalidationQueue::step(Lock& lock) {
    if (!state_.enabled || (context_.faults.status() & (fault_status::IQE | fault_status::ITE)) != 0) return false;
    if (state_.head == state_.tail || outstanding_ >= kOutstandingLimit) return false;
    if (QueueAddress{state_.address}.get(queue_address::DW)) return fail(QueueErrorInfo::kInvalidWidth);
    if (state_.tail >= length_bytes()) return fail(QueueErrorInfo::kInvalidTail);
    InvalidationDescriptor descriptor;
    if (!fetch(descriptor)) return fail(QueueErrorInfo::kFetchError);
    return execute(descriptor, lock);
}

bool InvalidationQueue::fetch(InvalidationDescriptor& descriptor) {
    const std::uint64_t base = state_.address & queue_address::kAddress;
    const auto bytes = context_.memory.span(memory::GuestAddress{base + state_.head}, sizeof descriptor);
    if (bytes.empty()) return false;
    std::memcpy(&descriptor, bytes.data(), sizeof descriptor);
    std::atomic_signal_fence(std::memory_order_seq_cst); // what was checked is what is used
    return true;
}

bool InvalidationQueue::execute(const InvalidationDescriptor& descriptor, Lock& lock) {
    switch (static_cast<DescriptorType>(descriptor_type(descriptor.low))) {
        case DescriptorType::kContextCache: return context_cache(descriptor, lock);
        case DescriptorType::kIotlb: return iotlb(descriptor, lock);
        case DescriptorType::kDeviceTlb: return device_tlb(descriptor, lock);
        case DescriptorType::kInterruptEntryCache: return interrupt_entry_cache(descriptor, lock);
        case DescriptorType::kWait: return wait(descriptor);
    }
    return fail(QueueErrorInfo::kInvalidType);
}

bool InvalidationQueue::begin(const Invalidation& invalidation, Lock& lock) {
    advance();
    ++outstanding_;
    lock.unlock();
    context_.requesters.invalidate(invalidation, [this] { completed(); });
    lock.lock();
    return true;
}

void InvalidationQueue::completed() {
    Lock lock(mutex_);
    --outstanding_;
    run(lock);
}

bool InvalidationQueue::context_cache(const InvalidationDescriptor& descriptor, Lock& lock) {
    namespace fields = context_cache_descriptor;
    const fields::Low low{descriptor.low};
    const auto granularity = low.get(fields::G);
    if ((descriptor.low & fields::kReservedLow) != 0 || (descriptor.high & fields::kReservedHigh) != 0 ||
        granularity == Granularity::kReserved)
        return fail(QueueErrorInfo::kReservedField);
    return begin({.cache = Invalidation::Cache::kContext,
                  .granularity = granularity,
                  .domain = low.get(fields::DID),
                  .requester = RequesterId{low.get(fields::SID)},
                  .function_mask = low.get(fields::FM)},
                 lock);
}

bool InvalidationQueue::iotlb(const InvalidationDescriptor& descriptor, Lock& lock) {
    namespace fields = iotlb_descriptor;
    const fields::Low low{descriptor.low};
    const auto granularity = low.get(fields::G);
    const auto mask = InvalidateAddress{descriptor.high}.get(invalidate_address::AM);
    if ((descriptor.low & fields::kReservedLow) != 0 || (descriptor.high & fields::kReservedHigh) != 0 ||
        granularity == Granularity::kReserved)
        return fail(QueueErrorInfo::kReservedField);
    if (granularity == Granularity::kSelective && mask > kGreatestAddressMask)
        return fail(QueueErrorInfo::kReservedField);
    return begin({.cache = Invalidation::Cache::kIotlb,
                  .granularity = granularity,
                  .domain = low.get(fields::DID),
                  .requester = {},
                  .address = descriptor.high & invalidate_address::kAddress,
                  .address_mask = mask},
                 lock);
}

bool InvalidationQueue::interrupt_entry_cache(const InvalidationDescriptor& descriptor, Lock& lock) {
    namespace fields = interrupt_cache_descriptor;
    if ((descriptor.low & fields::kReservedLow) != 0 || (descriptor.high & fields::kReservedHigh) != 0)
        return fail(QueueErrorInfo::kReservedField);
    advance();
    lock.unlock();
    context_.interrupts.entries_changed();
    context_.interrupts.drain();
    lock.lock();
    return true;
}

bool InvalidationQueue::device_tlb(const InvalidationDescriptor& descriptor, Lock& lock) {
    namespace fields = device_tlb_descriptor;
    if ((descriptor.low & fields::kReservedLow) != 0 || (descriptor.high & fields::kReservedHigh) != 0)
        return fail(QueueErrorInfo::kReservedField);
    const RequesterId requester{fields::Low{descriptor.low}.get(fields::SID)};
    const std::uint64_t address = descriptor.high & fields::kAddress;
    // With S the lowest clear bit ends the mask, and is part of it; an address of ones alone means all.
    const std::uint64_t mask =
        fields::High{descriptor.high}.get(fields::S) ? (address | 0xFFF) ^ ((address | 0xFFF) + 1) : 0xFFF;
    advance();
    const auto space = context_.requesters.find(requester);
    DeviceTlb* const device_tlb = space ? space->device_tlb() : nullptr;
    if (device_tlb == nullptr) return true; // who has no such cache has nothing to forget
    ++outstanding_;
    const std::uint64_t number = device_tlbs_.begin(requester, context_.timers.now_ns());
    arm();
    lock.unlock();
    device_tlb->invalidate(spec::Iova{address & ~mask}, spec::Iova{address | mask},
                           [this, number] { device_tlb_answered(number); });
    lock.lock();
    return true;
}

void InvalidationQueue::arm() {
    if (const auto deadline_ns = device_tlbs_.deadline_ns()) {
        alarm_->arm(*deadline_ns);
    } else {
        alarm_->disarm();
    }
}

void InvalidationQueue::device_tlb_answered(std::uint64_t number) {
    Lock lock(mutex_);
    if (!device_tlbs_.answered(number)) return;
    arm();
    --outstanding_;
    run(lock);
}

void InvalidationQueue::device_tlb_timed_out() {
    Lock lock(mutex_);
    const auto deadline_ns = device_tlbs_.deadline_ns();
    if (!deadline_ns || context_.timers.now_ns() < *deadline_ns) return arm();
    // All that wait are given up, and the wait descriptor after them is never completed. (§6.5.2.11)
    outstanding_ -= static_cast<std::uint32_t>(device_tlbs_.count());
    const RequesterId late = device_tlbs_.give_up();
    arm();
    if (std::exchange(at_wait_, false)) advance();
    state_.error = QueueErrorRecord{state_.error}.set(queue_error::ITESID, late.value).raw;
    context_.faults.report(fault_status::ITE);
}

bool InvalidationQueue::wait(const InvalidationDescriptor& descriptor) {
    namespace fields = wait_descriptor;
    if ((descriptor.low & fields::kReservedLow) != 0 || (descriptor.high & fields::kReservedHigh) != 0)
        return fail(QueueErrorInfo::kReservedField);
    at_wait_ = outstanding_ != 0;
    if (at_wait_) return false;
    const fields::Low low{descriptor.low};
    if (low.get(fields::SW)) {
        const memory::GuestAddress address{descriptor.high & fields::kStatusAddress};
        const auto bytes = context_.memory.span(address, sizeof(std::uint32_t));
        if (!bytes.empty()) { // a status that nobody can read is none
            std::atomic_ref(*reinterpret_cast<std::uint32_t*>(bytes.data()))
                .store(low.get(fields::STATUS_DATA), std::memory_order_release);
            context_.memory.written(address, sizeof(std::uint32_t));
        }
    }
    if (low.get(fields::IF) && (state_.completion & completion_status::IWC) == 0) {
        state_.completion |= completion_status::IWC;
        event_.raise();
    }
    advance();
    return true;
}

void InvalidationQueue::reset() {
    const std::scoped_lock lock(mutex_);
    state_ = {};
    event_.reset();
    at_wait_ = false;
    outstanding_ -= static_cast<std::uint32_t>(device_tlbs_.count());
    device_tlbs_.clear();
    arm();
}

InvalidationQueueState InvalidationQueue::save() const {
    const std::scoped_lock lock(mutex_);
    InvalidationQueueState state = state_;
    state.event = event_.state();
    return state;
}

void InvalidationQueue::restore(const InvalidationQueueState& state) {
    reset();
    const std::scoped_lock lock(mutex_);
    state_ = state;
    state_.head &= kQueuePointerMask;
    state_.tail &= kQueuePointerMask;
    state_.completion &= completion_status::IWC;
    event_.restore(state.event);
}

} // namespace touka::iommu
