// A remapping unit with memory, time and interrupts of the test's own, and the guest driver's part in a few words.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "iommu/remapping_unit.hpp"
#include "platform/recording_wires.hpp"
#include "runtime/manual_timers.hpp"
#include "spec/vtd/translation_tables.hpp"

namespace touka::iommu {

class RecordingMsi final : public platform::MsiSink {
public:
    void send(const platform::MsiMessage& message) override { sent.push_back(message); }
    [[nodiscard]] std::unique_ptr<platform::MsiWire> make_wire(int event) override {
        return wires == nullptr ? nullptr : wires->make_wire(event);
    }
    std::vector<platform::MsiMessage> sent;
    platform::RecordingWires* wires = nullptr; ///< not null: it has some
};

class RecordingDelivery final : public InterruptDelivery {
public:
    void deliver(const platform::InterruptMessage& message) override {
        if (on_the_way) on_the_way();
        delivered.push_back(message);
    }
    std::function<void()> on_the_way; ///< called before a message arrives
    std::vector<platform::InterruptMessage> delivered;
};

/// Tables from kTables on, the invalidation queue at kQueue, the interrupt table at kInterruptTable, data above kData.
class TestUnit {
public:
    static constexpr std::uint64_t kRamBytes = 8 << 20, kQueue = 0x1'0000, kStatus = 0x2'0000,
                                   kInterruptTable = 0x3'0000, kTables = 0x10'0000, kData = 0x20'0000;
    static constexpr std::uint64_t kRead = 1, kWrite = 2, kReadWrite = 3, kPageSizeBit = 0x80;

    explicit TestUnit(const RemappingUnitOptions& options = {})
        : own_ram_(memory::GuestMemory::create(kRamBytes).value()), ram_(own_ram_.get()),
          unit_({*ram_, msi_, delivery_, timers_}, options), root_(new_table()) {}
    /// @param ram of kRamBytes at least, whose parts named above are the unit's; outlives it.
    explicit TestUnit(memory::GuestMemory& ram)
        : ram_(&ram), unit_({ram, msi_, delivery_, timers_}, {}), root_(new_table()) {}

    [[nodiscard]] RemappingUnit& unit() { return unit_; }
    [[nodiscard]] memory::GuestMemory& ram() { return *ram_; }
    [[nodiscard]] RecordingMsi& msi() { return msi_; }
    [[nodiscard]] RecordingDelivery& delivery() { return delivery_; }
    [[nodiscard]] runtime::ManualTimers& timers() { return timers_; }

    [[nodiscard]] std::uint64_t load(std::uint64_t address) const {
        std::uint64_t value = 0;
        std::memcpy(&value, ram_->base() + address, sizeof value);
        return value;
    }
    void store(std::uint64_t address, std::uint64_t value) {
        std::memcpy(ram_->base() + address, &value, sizeof value);
    }

    // Registers.
    [[nodiscard]] std::uint32_t get(spec::vtd::Offset offset) {
        return static_cast<std::uint32_t>(unit_.read(static_cast<std::uint32_t>(offset), 4));
    }
    [[nodiscard]] std::uint64_t get_wide(spec::vtd::Offset offset) {
        return unit_.read(static_cast<std::uint32_t>(offset), 8);
    }
    void set(spec::vtd::Offset offset, std::uint32_t value) {
        unit_.write(static_cast<std::uint32_t>(offset), 4, value);
    }
    void set_wide(spec::vtd::Offset offset, std::uint64_t value) {
        unit_.write(static_cast<std::uint32_t>(offset), 8, value);
    }
    /// One-shot commands and switches, beside the switches that are on.
    void command(std::uint32_t bits) {
        using namespace spec::vtd::global;
        set(spec::vtd::Offset::GCMD, (get(spec::vtd::Offset::GSTS) & (TE | QIE | IRE | CFI)) | bits);
    }
    void enable_translation() {
        set_wide(spec::vtd::Offset::RTADDR, root_);
        command(spec::vtd::global::SRTP);
        command(spec::vtd::global::TE);
    }

    // Tables.
    [[nodiscard]] std::uint64_t new_table() {
        const std::uint64_t table = next_table_;
        next_table_ += 0x1000;
        return table;
    }
    [[nodiscard]] std::uint64_t root() const { return root_; }
    [[nodiscard]] std::uint64_t root_entry(RequesterId id) const { return root_ + id.bus() * 16u; }
    [[nodiscard]] std::uint64_t context_entry(RequesterId id) {
        if (load(root_entry(id)) == 0) store(root_entry(id), new_table() | 1);
        return (load(root_entry(id)) & ~std::uint64_t{0xFFF}) + id.device_function() * 16u;
    }
    /// @return the second-level table.
    std::uint64_t set_context(RequesterId id, std::uint16_t domain, unsigned levels = 4,
                              spec::vtd::TranslationType type = spec::vtd::TranslationType::kUntranslatedOnly) {
        const std::uint64_t table = new_table();
        const std::uint64_t entry = context_entry(id);
        store(entry + 8, std::uint64_t{domain} << 8 | (levels - 2));
        store(entry, table | static_cast<std::uint64_t>(type) << 2 | 1);
        return table;
    }
    /// Where the entry of a level stands; makes the tables above it.
    [[nodiscard]] std::uint64_t paging_entry(std::uint64_t table, std::uint64_t iova, unsigned level,
                                             unsigned levels = 4) {
        for (unsigned at = levels;; --at) {
            const std::uint64_t place = table + 8 * (iova >> spec::vtd::level_shift(at) & 0x1FF);
            if (at == level) return place;
            if (load(place) == 0) store(place, new_table() | kReadWrite);
            table = load(place) & ~std::uint64_t{0xFFF};
        }
    }
    void map(std::uint64_t table, std::uint64_t iova, std::uint64_t guest, std::uint64_t bits = kReadWrite,
             unsigned level = 1, unsigned levels = 4) {
        store(paging_entry(table, iova, level, levels), guest | bits | (level > 1 ? kPageSizeBit : 0));
    }

    // The invalidation queue.
    void enable_queue() {
        set_wide(spec::vtd::Offset::IQT, 0);
        set_wide(spec::vtd::Offset::IQA, kQueue);
        command(spec::vtd::global::QIE);
    }
    void submit(std::uint64_t low, std::uint64_t high = 0) {
        store(kQueue + tail_, low);
        store(kQueue + tail_ + 8, high);
        tail_ = (tail_ + 16) % 0x1000;
        set_wide(spec::vtd::Offset::IQT, tail_);
    }
    static constexpr std::uint64_t kWaitStatus = 0x5'0000'0025; // status 5, SW, wait
    void submit_wait() {
        store(kStatus, 0);
        submit(kWaitStatus, kStatus);
    }
    [[nodiscard]] bool wait_complete() const { return load(kStatus) == 5; }
    [[nodiscard]] std::uint64_t tail() const { return tail_; }

    // Faults.
    struct Recorded {
        spec::vtd::FaultReason reason{};
        std::uint16_t requester = 0;
        std::uint64_t address = 0;
        bool read = false;
        spec::vtd::AddressType type{};
        bool operator==(const Recorded&) const = default;
    };
    /// The fault records in their order, freed.
    std::vector<Recorded> take_faults() {
        namespace fields = spec::vtd::fault_record;
        std::vector<Recorded> all;
        for (unsigned i = 0; i < kFaultRecordCount; ++i) {
            const auto at = static_cast<std::uint32_t>(spec::vtd::Offset::FRCD) + 16 * i;
            const spec::vtd::FaultRecordHigh high{unit_.read(at + 8, 8)};
            if (!high.get(fields::F)) continue;
            all.push_back({high.get(fields::FR), high.get(fields::SID), unit_.read(at, 8), high.get(fields::T1),
                           high.get(fields::AT)});
            unit_.write(at + 12, 4, 0x8000'0000);
        }
        return all;
    }

private:
    std::unique_ptr<memory::GuestMemory> own_ram_;
    memory::GuestMemory* ram_;
    RecordingMsi msi_;
    RecordingDelivery delivery_;
    runtime::ManualTimers timers_;
    RemappingUnit unit_;
    std::uint64_t next_table_ = kTables;
    std::uint64_t tail_ = 0;
    std::uint64_t root_;
};

} // namespace touka::iommu
