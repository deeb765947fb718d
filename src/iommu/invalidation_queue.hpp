// Queued invalidation. (VT-d Rev. 4.1 §6.5.2)
// Absent: descriptors of 256 bits, PASID-based ones, page group responses (scalable mode and page requests). Entries of
// the interrupt remapping table are not cached: forgetting them is waiting for interrupts that are on their way.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

#include "iommu/device_tlb_invalidations.hpp"
#include "iommu/event_interrupt.hpp"
#include "iommu/fault_log.hpp"
#include "iommu/interrupt_remapper.hpp"
#include "iommu/requesters.hpp"
#include "memory/guest_memory.hpp"
#include "runtime/timers.hpp"
#include "spec/vtd/invalidation.hpp"
#include "spec/vtd/registers.hpp"

namespace touka::iommu {

struct InvalidationQueueState {
    bool enabled = false;
    std::uint64_t head = 0, tail = 0, address = 0, error = 0;
    std::uint32_t completion = 0;
    EventInterrupt::State event;
    void describe(auto& archive) { archive(enabled, head, tail, address, error, completion, event); }
    bool operator==(const InvalidationQueueState&) const = default;
};

/// Takes descriptors in order. An invalidation is begun and not waited for; a wait descriptor stays at the head until
/// all before it are complete, which whoever ends the last use of old memory finds out: no thread waits.
///
/// Any thread; its lock is above the fault log's, and not held while requesters are told.
class InvalidationQueue {
public:
    struct Context {
        memory::GuestMemory& memory;
        Requesters& requesters;
        InterruptRemapper& interrupts;
        FaultLog& faults;
        platform::MsiSink& msi;
        InterruptDelivery& delivery;
        runtime::Timers& timers;
    };
    InvalidationQueue(const Context& context, std::uint64_t device_tlb_timeout_ns);

    void set_enabled(bool enabled);
    [[nodiscard]] bool enabled() const;
    [[nodiscard]] std::uint64_t read(spec::vtd::Offset offset) const;
    /// IQT starts work.
    void write(spec::vtd::Offset offset, std::uint64_t value);
    [[nodiscard]] std::uint32_t read_event(unsigned index) const;
    void write_event(unsigned index, std::uint32_t value);
    /// Goes on where it can: errors were cleared, or the machine runs again.
    void run();

    void reset();
    [[nodiscard]] InvalidationQueueState save() const;
    void restore(const InvalidationQueueState& state);

private:
    using Lock = std::unique_lock<std::mutex>;
    /// More that have begun and are not complete than any driver has: the queue waits as by a wait descriptor.
    static constexpr std::uint32_t kOutstandingLimit = 256;

    // @pre for all of these: mutex_ is held; those that get the lock may give it up in between.
    void run(Lock& lock);
    [[nodiscard]] bool step(Lock& lock);
    [[nodiscard]] bool fetch(spec::vtd::InvalidationDescriptor& descriptor);
    [[nodiscard]] bool execute(const spec::vtd::InvalidationDescriptor& descriptor, Lock& lock);
    [[nodiscard]] bool context_cache(const spec::vtd::InvalidationDescriptor& descriptor, Lock& lock);
    [[nodiscard]] bool iotlb(const spec::vtd::InvalidationDescriptor& descriptor, Lock& lock);
    [[nodiscard]] bool device_tlb(const spec::vtd::InvalidationDescriptor& descriptor, Lock& lock);
    [[nodiscard]] bool interrupt_entry_cache(const spec::vtd::InvalidationDescriptor& descriptor, Lock& lock);
    [[nodiscard]] bool wait(const spec::vtd::InvalidationDescriptor& descriptor);
    [[nodiscard]] bool fail(spec::vtd::QueueErrorInfo info);
    bool begin(const Invalidation& invalidation, Lock& lock);
    void advance();
    [[nodiscard]] std::uint64_t length_bytes() const;
    void arm();

    void completed();
    void device_tlb_answered(std::uint64_t number);
    void device_tlb_timed_out();

    Context context_;
    mutable std::mutex mutex_; // guards what follows
    EventInterrupt event_;
    InvalidationQueueState state_; // but for its event
    bool running_ = false;         // a thread is in run()
    bool at_wait_ = false;         // the head is a wait descriptor that waits
    std::uint32_t outstanding_ = 0;
    DeviceTlbInvalidations device_tlbs_;
    std::unique_ptr<runtime::Timer> alarm_; // last: its callback uses all of the above
};

} // namespace touka::iommu
