#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "iommu/address_translation_cache.hpp"
#include "iommu/caching_requester.hpp"
#include "iommu/remapping_unit.hpp"
#include "memory/dma_space.hpp"
#include "memory/guest_memory.hpp"
#include "platform/interrupt_line.hpp"
#include "platform/pci/pci_function.hpp"

namespace touka::machine {

/// How functions reach memory and processors: directly, or through the machine's IOMMU. Any thread.
class FunctionPaths {
public:
    /// Everything outlives this. @param unit null: there is no IOMMU.
    FunctionPaths(memory::GuestMemory& memory, platform::MsiSink& msi, iommu::RemappingUnit* unit)
        : memory_(memory), msi_(msi), unit_(unit) {}
    ~FunctionPaths();
    FunctionPaths(const FunctionPaths&) = delete;
    FunctionPaths& operator=(const FunctionPaths&) = delete;

    /// One function's way out; as good as this object, or until it is closed.
    class Path {
    public:
        [[nodiscard]] memory::DmaSpace& dma() { return translation_ ? *translation_ : *dma_; }
        /// For the function's configuration space; null: it translates nothing itself.
        [[nodiscard]] platform::TranslationServices* translation() { return translation_.get(); }
        [[nodiscard]] platform::MsiSink& msi() { return *msi_; }
        /// Who uses it: until then it is nobody's that a driver can know. Before the function is plugged in.
        void belongs_to(platform::PciFunction& function);

        [[nodiscard]] bool is_remapped() const { return remapped_ != nullptr; }
        /// The device keeps by itself what it may reach: from now on, until end_shadow(), that is what the guest's
        /// tables say. @pre is_remapped(), and the paths can_shadow().
        /// @param on_shortage as of ShadowedRequester::Settings.  @return false: it did not take its first memory.
        [[nodiscard]] bool shadow(iommu::MappingSink& sink, std::function<void(std::uint64_t)> on_shortage);
        /// The device asks for translations, in another process: from now on, until end_caching(), it is answered by
        /// the guest's tables. @pre is_remapped().  @return as good as until then.
        [[nodiscard]] iommu::CachingRequester& answer(iommu::CachingDevice& device);
        void end_caching();
        /// @return what the device still has.
        std::vector<iommu::Mapping> end_shadow();

    private:
        friend class FunctionPaths;
        std::shared_ptr<memory::DmaSpace> dma_;
        platform::MsiSink* msi_ = nullptr;
        iommu::RemappedSpace* remapped_ = nullptr;                    // null without an IOMMU
        std::unique_ptr<iommu::AddressTranslationCache> translation_; // before remapped_
        std::unique_ptr<iommu::RemappedMsi> remapped_msi_;
        iommu::RemappingUnit* unit_ = nullptr;
        // One of these, or none: then it translates in this process.
        std::shared_ptr<iommu::ShadowedRequester> shadow_;
        std::shared_ptr<iommu::CachingRequester> caching_;
    };
    [[nodiscard]] Path& open();
    /// One of a function that can keep translations itself. Without an IOMMU there are none.
    [[nodiscard]] Path& open_with_translation();
    /// One that the IOMMU does not stand in: of a device that its driver does not remap. Its interrupts are remapped.
    [[nodiscard]] Path& open_direct();
    /// The function has gone.
    void close(Path& path);
    [[nodiscard]] bool remapped() const { return unit_ != nullptr; }
    /// Devices may be shadowed: without an IOMMU there is no need.
    [[nodiscard]] bool can_shadow() const { return unit_ == nullptr || unit_->caching_mode(); }
    /// Some function can keep translations.
    [[nodiscard]] bool with_translation() const;

private:
    void leave(Path& path);

    memory::GuestMemory& memory_;
    platform::MsiSink& msi_;
    iommu::RemappingUnit* unit_;
    mutable std::mutex mutex_; // guards the list
    std::list<Path> paths_;
};

} // namespace touka::machine
