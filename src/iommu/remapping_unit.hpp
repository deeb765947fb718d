// An Intel VT-d remapping unit: its registers, and what stands behind them. (Intel VT-d Architecture Specification,
// Rev. 4.1, chapters 3 to 7 and 11)
// Absent: scalable mode with all that belongs to it (PASIDs, first-level and nested translation, 256-bit descriptors),
// page requests, posted interrupts, protected memory regions, the advanced fault log, performance monitoring, enhanced
// commands. Tables of five levels.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

#include "iommu/caching_requester.hpp"
#include "iommu/fault_log.hpp"
#include "iommu/interrupt_remapper.hpp"
#include "iommu/invalidation_queue.hpp"
#include "iommu/requesters.hpp"
#include "iommu/shadowed_requester.hpp"
#include "iommu/unit_options.hpp"
#include "platform/address_space.hpp"
#include "platform/device.hpp"

namespace touka::iommu {

/// Where the machine has its unit: above the HPET, below the local APICs. Length: spec::vtd::kRegisterBytes.
inline constexpr spec::GuestAddress kUnitBase{0xFED9'0000};
/// Whom the I/O APIC's interrupts come from: on a bus that has no functions, so that nobody else can be it.
inline constexpr RequesterId kIoApicRequester{0xFF00};

/// What a unit works with; everything outlives it.
struct RemappingUnitContext {
    memory::GuestMemory& memory;
    platform::MsiSink& msi;      ///< takes messages that are not remapped
    InterruptDelivery& delivery; ///< takes what was remapped
    runtime::Timers& timers;
};

struct RemappingUnitState {
    static constexpr std::uint16_t kVersion = 1;
    std::uint32_t global_status = 0;
    std::uint64_t root_address = 0, root_taken = 0, interrupt_address = 0, interrupt_taken = 0;
    std::uint64_t context_command = 0, iotlb_command = 0, invalidate_address = 0;
    FaultLogState faults;
    InvalidationQueueState queue;
    void describe(auto& archive) {
        archive(global_status, root_address, root_taken, interrupt_address, interrupt_taken, context_command,
                iotlb_command, invalidate_address, faults, queue);
    }
    bool operator==(const RemappingUnitState&) const = default;
};

/// The register file. Called on vCPU threads, which never wait here: what takes until devices are done shows in a
/// register, or in memory, then. Its lock is not held while requesters or the queue are told, because the end of a use
/// may call back on the same thread. Outlives every use of its requesters' spaces.
class RemappingUnit final : public platform::IoHandler, public platform::Device {
public:
    RemappingUnit(const RemappingUnitContext& context, const RemappingUnitOptions& options);

    /// A space for the function at that place; to be removed with it.
    [[nodiscard]] std::shared_ptr<RemappedSpace> add_requester(RequesterId requester) {
        return requesters_.add(requester);
    }
    void remove_requester(const std::shared_ptr<RemappedSpace>& space) { requesters_.remove(space); }
    /// Makes a device have what the tables give that requester, from now on; the device has all RAM so far or nothing.
    /// @param sink outlives ShadowedRequester::close(), which is for who asked for it, with remove_shadow() before.
    /// @pre the unit is in caching mode.
    [[nodiscard]] std::shared_ptr<ShadowedRequester> add_shadow(RequesterId requester, MappingSink& sink,
                                                                ShadowedRequester::Settings settings);
    void remove_shadow(const std::shared_ptr<ShadowedRequester>& shadow) { requesters_.remove(shadow); }
    /// Makes a device that asks for translations have what the tables give that requester, from now on.
    /// @param device outlives CachingRequester::close(), which is for who asked for it, with remove_caching() before.
    [[nodiscard]] std::shared_ptr<CachingRequester> add_caching(RequesterId requester, CachingDevice& device);
    void remove_caching(const std::shared_ptr<CachingRequester>& caching) { requesters_.remove(caching); }
    [[nodiscard]] bool caching_mode() const { return options_.caching_mode; }
    /// Whether the guest has to tell of every change: before it looks.
    void set_caching_mode(bool on) { options_.caching_mode = on; }
    [[nodiscard]] InterruptRemapper& interrupts() { return interrupts_; }

    [[nodiscard]] std::uint64_t read(std::uint64_t offset, unsigned width_bytes) override;
    void write(std::uint64_t offset, unsigned width_bytes, std::uint64_t value) override;

    [[nodiscard]] std::string_view name() const override { return "vtd"; }
    void start() override { resume(); }
    void resume() override { queue_.run(); }
    void reset() override;
    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

private:
    enum class Half { kLow, kHigh, kBoth }; ///< of a 64-bit register, what is written

    [[nodiscard]] std::uint32_t read_word(std::uint32_t offset) const;
    [[nodiscard]] std::uint64_t read_wide(spec::vtd::Offset offset) const;
    [[nodiscard]] std::uint32_t global_status() const;
    void write_word(std::uint32_t offset, std::uint32_t value);
    void write_wide(spec::vtd::Offset offset, std::uint64_t value, Half half);
    void write_global_command(std::uint32_t value);
    void set_translation(bool enabled);
    void write_context_command(std::uint64_t value);
    void write_iotlb_command(std::uint64_t value);

    RemappingUnitOptions options_;
    FaultLog faults_;
    TranslationRoot root_;
    Requesters requesters_;
    InterruptRemapper interrupts_;
    InvalidationQueue queue_;

    mutable std::mutex mutex_; // guards what follows
    RemappingUnitState state_; // but for faults and queue
    // Which of them is under way: an old one's end is nobody's.
    std::uint64_t translation_change_ = 0, context_command_ = 0, iotlb_command_ = 0;
    std::condition_variable translation_switched_;
};

} // namespace touka::iommu
