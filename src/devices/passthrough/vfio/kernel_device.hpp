// A function of the host, bound to vfio-pci. (Linux 6.1 include/uapi/linux/vfio.h)
// Absent: migration, device request and error notifications.
#pragma once

#include <array>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "devices/passthrough/device_transport.hpp"
#include "devices/passthrough/vfio/bar_window.hpp"
#include "devices/passthrough/vfio/host_functions.hpp"
#include "devices/passthrough/vfio/host_iommu.hpp"
#include "spec/vfio/device.hpp"

namespace touka::devices::vfio {

/// It is there until it is closed: a device that the host loses fails its calls.
class KernelDevice final : public passthrough::DeviceTransport {
public:
    /// @param address as sysfs has it: "0000:03:00.1".  @param iommufd as of HostIommu::place.
    /// @return why it cannot be given to a machine: the group, its members and what to do.
    [[nodiscard]] static std::expected<std::unique_ptr<KernelDevice>, std::string>
    open(HostIommu& iommu, const std::string& address, std::optional<bool> iommufd, std::string_view sysfs = kSysfs);

    [[nodiscard]] const HostPlace& place() const { return *place_; }

    void set_listener(passthrough::TransportListener*) override {}
    [[nodiscard]] bool can_reset() const override { return can_reset_; }
    [[nodiscard]] bool can_migrate() const override { return false; }
    [[nodiscard]] std::uint64_t region_bytes(std::uint32_t region) const override;
    [[nodiscard]] passthrough::InterruptDescription interrupts(std::uint32_t index) const override;
    /// The kernel takes the pages away from under it (SIGBUS) while the function does not decode its memory: while
    /// Memory Space is disabled, in D3, in a reset.
    [[nodiscard]] passthrough::RegionMemory region_memory(std::uint32_t region) override;
    [[nodiscard]] Result read(std::uint32_t region, std::uint64_t offset, std::span<std::byte> to) override;
    [[nodiscard]] Result write(std::uint32_t region, std::uint64_t offset, std::span<const std::byte> from) override;
    [[nodiscard]] Result set_events(std::uint32_t index, std::uint32_t start, std::span<const int> events) override;
    [[nodiscard]] Result unmask(std::uint32_t index, std::uint32_t number) override;
    [[nodiscard]] Result disable(std::uint32_t index) override;
    [[nodiscard]] Result map_dma(const passthrough::MemoryGrant& grant) override { return place_->space().map(grant); }
    [[nodiscard]] Result unmap_dma(memory::Iova start, std::uint64_t length_bytes) override {
        return place_->space().unmap(start, length_bytes);
    }
    [[nodiscard]] Result reset() override;
    [[nodiscard]] Result set_migration_state(spec::vfio::MigrationState) override;
    [[nodiscard]] std::expected<std::vector<std::byte>, passthrough::TransportError> read_state() override;
    [[nodiscard]] Result write_state(std::span<const std::byte>) override;

private:
    struct Region {
        std::uint64_t length_bytes = 0, offset = 0; ///< in the device's file
        bool writable = false;
        std::shared_ptr<const BarWindows> windows; // shared with whoever maps them elsewhere; null: none
    };
    KernelDevice(std::shared_ptr<HostPlace> place, runtime::UniqueFd fd)
        : place_(std::move(place)), fd_(std::move(fd)) {}
    [[nodiscard]] bool describe();
    [[nodiscard]] bool describe_region(std::uint32_t index);
    [[nodiscard]] Result set_irqs(std::uint32_t flags, std::uint32_t index, std::uint32_t start, std::uint32_t count,
                                  std::span<const int> events);

    std::shared_ptr<HostPlace> place_; // as HostIommu::place gives it; ends after the file
    runtime::UniqueFd fd_;
    bool can_reset_ = false;
    std::array<Region, spec::vfio::VFIO_PCI_NUM_REGIONS> regions_{};
    std::array<passthrough::InterruptDescription, spec::vfio::VFIO_PCI_NUM_IRQS> interrupts_{};
};

} // namespace touka::devices::vfio
