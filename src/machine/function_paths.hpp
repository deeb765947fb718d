#pragma once

#include <list>
#include <memory>

#include "iommu/remapping_unit.hpp"
#include "memory/dma_space.hpp"
#include "memory/guest_memory.hpp"
#include "platform/interrupt_line.hpp"
#include "platform/pci/pci_function.hpp"

namespace touka::machine {

/// How functions reach memory and processors: directly, or through the machine's IOMMU. Control thread; what it hands
/// out is for any thread.
class FunctionPaths {
public:
    /// Everything outlives this. @param unit null: there is no IOMMU.
    FunctionPaths(memory::GuestMemory& memory, platform::MsiSink& msi, iommu::RemappingUnit* unit)
        : memory_(memory), msi_(msi), unit_(unit) {}
    ~FunctionPaths();
    FunctionPaths(const FunctionPaths&) = delete;
    FunctionPaths& operator=(const FunctionPaths&) = delete;

    /// One function's way out; as good as this object.
    class Path {
    public:
        [[nodiscard]] memory::DmaSpace& dma() { return *dma_; }
        [[nodiscard]] platform::MsiSink& msi() { return *msi_; }
        /// Who uses it: until then it is nobody's that a driver can know. Before the function is plugged in.
        void belongs_to(platform::PciFunction& function);

    private:
        friend class FunctionPaths;
        std::shared_ptr<memory::DmaSpace> dma_;
        platform::MsiSink* msi_ = nullptr;
        iommu::RemappedSpace* remapped_ = nullptr; // null without an IOMMU
        std::unique_ptr<iommu::RemappedMsi> remapped_msi_;
    };
    [[nodiscard]] Path& open();
    /// One that the IOMMU does not stand in: of a device that its driver does not remap. Its interrupts are remapped.
    [[nodiscard]] Path& open_direct();
    [[nodiscard]] bool remapped() const { return unit_ != nullptr; }

private:
    memory::GuestMemory& memory_;
    platform::MsiSink& msi_;
    iommu::RemappingUnit* unit_;
    std::list<Path> paths_;
};

} // namespace touka::machine
