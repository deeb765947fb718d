// Primary fault logging: the fault recording registers, Fault Status and the fault event. (VT-d Rev. 4.1 §7.2, §7.3)
// Absent: the advanced fault log, collapsing of faults of one requester.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>

#include "iommu/event_interrupt.hpp"
#include "iommu/requester_id.hpp"
#include "iommu/unit_options.hpp"
#include "memory/dma_space.hpp"
#include "spec/vtd/fault.hpp"

namespace touka::iommu {

/// A blocked request.
struct Fault {
    RequesterId requester;
    spec::vtd::FaultReason reason{};
    std::uint64_t address = 0; ///< of an interrupt: its index << kInterruptIndexShift
    memory::DmaAccess access = memory::DmaAccess::kRead;
    spec::vtd::AddressType address_type = spec::vtd::AddressType::kUntranslated;
};

struct FaultLogState {
    struct Record {
        std::uint64_t low = 0, high = 0;
        void describe(auto& archive) { archive(low, high); }
        bool operator==(const Record&) const = default;
    };
    std::array<Record, kFaultRecordCount> records{};
    std::uint32_t status = 0; ///< without PPF and FRI, which follow from the records
    std::uint8_t next = 0, oldest = 0;
    EventInterrupt::State event;
    void describe(auto& archive) { archive(records, status, next, oldest, event); }
    bool operator==(const FaultLogState&) const = default;
};

/// Any thread; its lock is below all others of the unit and above the local APICs'.
class FaultLog {
public:
    FaultLog(platform::MsiSink& msi, InterruptDelivery& delivery) : event_(msi, delivery) {}

    void record(const Fault& fault);
    /// @param error IQE, ICE or ITE: what went wrong in the invalidation queue.
    void report(std::uint32_t error);
    [[nodiscard]] std::uint32_t status() const;

    void write_status(std::uint32_t value);
    [[nodiscard]] std::uint32_t read_event(unsigned index) const;
    void write_event(unsigned index, std::uint32_t value);
    /// @param word 32-bit word of the recording registers, from the first one's on.
    [[nodiscard]] std::uint32_t read_record(unsigned word) const;
    void write_record(unsigned word, std::uint32_t value);

    void reset();
    [[nodiscard]] FaultLogState save() const;
    /// @return false when the state cannot be one of a fault log.
    [[nodiscard]] bool restore(const FaultLogState& state);

private:
    // @pre for all of these: mutex_ is held.
    [[nodiscard]] bool pending() const;
    [[nodiscard]] std::uint32_t status_locked() const;
    void settle();

    mutable std::mutex mutex_; // guards what follows
    EventInterrupt event_;
    FaultLogState state_; // but for its event
};

} // namespace touka::iommu
