#include "devices/passthrough/vfio/kernel_device.hpp"

#include <fmt/format.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "spec/pci/config_header.hpp"

namespace touka::devices::vfio {

using passthrough::InterruptDescription;
using passthrough::TransportError;
using Result = passthrough::DeviceTransport::Result;

namespace {

/// More than the kernel has to say of any region.
constexpr std::size_t kRegionAnswerLimitBytes = 64 * 1024;

std::unexpected<TransportError> refused() { return std::unexpected(TransportError::kRefused); }

} // namespace

std::expected<std::unique_ptr<KernelDevice>, std::string>
KernelDevice::open(HostIommu& iommu, const std::string& address, std::optional<bool> iommufd, std::string_view sysfs) {
    const auto all = list_host_functions(sysfs);
    if (!all) return std::unexpected(all.error());
    const auto found = std::ranges::find(*all, address, &HostFunction::address);
    if (found == all->end()) {
        return std::unexpected(fmt::format("{}: the host has no such function; touka devices lists them", address));
    }
    if (const auto reason = obstacle(*found, *all); !reason.empty()) {
        return std::unexpected(fmt::format("{}: {}", address, reason));
    }
    auto place = iommu.place(*found, *all, iommufd);
    if (!place) return std::unexpected(place.error());
    auto fd = (*place)->open();
    if (!fd) return std::unexpected(fd.error());
    std::unique_ptr<KernelDevice> device(new KernelDevice(std::move(*place), std::move(*fd)));
    if (!device->describe()) {
        return std::unexpected(fmt::format("{}: vfio-pci does not describe it as a PCI function", address));
    }
    if (!device->can_reset()) {
        return std::unexpected(
            fmt::format("{}: it cannot be reset, so that one machine's traces would reach the next", address));
    }
    (void)device->reset(); // what whoever had it before left behind
    return device;
}

bool KernelDevice::describe() {
    vfio_device_info info{};
    info.argsz = sizeof info;
    if (::ioctl(fd_.get(), VFIO_DEVICE_GET_INFO, &info) != 0 || (info.flags & VFIO_DEVICE_FLAGS_PCI) == 0) return false;
    can_reset_ = (info.flags & VFIO_DEVICE_FLAGS_RESET) != 0;
    for (std::uint32_t i = 0; i < std::min(info.num_regions, spec::vfio::VFIO_PCI_NUM_REGIONS); ++i) {
        (void)describe_region(i); // regions that a function has not, such as a VGA one, are refused
    }
    for (std::uint32_t i = 0; i < std::min(info.num_irqs, spec::vfio::VFIO_PCI_NUM_IRQS); ++i) {
        vfio_irq_info irq{};
        irq.argsz = sizeof irq;
        irq.index = i;
        if (::ioctl(fd_.get(), VFIO_DEVICE_GET_IRQ_INFO, &irq) == 0) interrupts_[i] = {irq.count, irq.flags};
    }
    return regions_[VFIO_PCI_CONFIG_REGION_INDEX].length_bytes != 0;
}

bool KernelDevice::describe_region(std::uint32_t index) {
    vfio_region_info head{};
    head.argsz = sizeof head;
    head.index = index;
    if (::ioctl(fd_.get(), VFIO_DEVICE_GET_REGION_INFO, &head) != 0) return false;
    Region& region = regions_[index];
    region = {head.size, head.offset, (head.flags & VFIO_REGION_INFO_FLAG_WRITE) != 0, nullptr};
    if (index >= spec::pci::kBarCount || (head.flags & VFIO_REGION_INFO_FLAG_MMAP) == 0) return true;
    // Asked again with the room that the kernel said that it wants, for what follows the head.
    std::vector<std::byte> answer(std::clamp<std::size_t>(head.argsz, sizeof head, kRegionAnswerLimitBytes));
    std::memcpy(answer.data(), &head, sizeof head);
    if (::ioctl(fd_.get(), VFIO_DEVICE_GET_REGION_INFO, answer.data()) != 0) return true;
    const auto extents = mappable_extents(answer);
    region.windows = BarWindows::map(fd_, region.offset, extents, region.writable);
    return true;
}

passthrough::RegionMemory KernelDevice::region_memory(std::uint32_t region) {
    passthrough::RegionMemory memory;
    if (region >= regions_.size() || !regions_[region].windows) return memory;
    memory.areas = regions_[region].windows->areas();
    memory.writable = regions_[region].writable;
    memory.keeper = regions_[region].windows;
    return memory;
}

std::uint64_t KernelDevice::region_bytes(std::uint32_t region) const {
    return region < regions_.size() ? regions_[region].length_bytes : 0;
}

InterruptDescription KernelDevice::interrupts(std::uint32_t index) const {
    return index < interrupts_.size() ? interrupts_[index] : InterruptDescription{};
}

Result KernelDevice::read(std::uint32_t region, std::uint64_t offset, std::span<std::byte> to) {
    const std::uint64_t length = region_bytes(region);
    if (offset > length || to.size() > length - offset) return refused();
    const auto at = static_cast<off_t>(regions_[region].offset + offset);
    if (::pread(fd_.get(), to.data(), to.size(), at) != static_cast<ssize_t>(to.size())) return refused();
    return {};
}

Result KernelDevice::write(std::uint32_t region, std::uint64_t offset, std::span<const std::byte> from) {
    const std::uint64_t length = region_bytes(region);
    if (offset > length || from.size() > length - offset) return refused();
    const auto at = static_cast<off_t>(regions_[region].offset + offset);
    if (::pwrite(fd_.get(), from.data(), from.size(), at) != static_cast<ssize_t>(from.size())) return refused();
    return {};
}

Result KernelDevice::set_irqs(std::uint32_t flags, std::uint32_t index, std::uint32_t start, std::uint32_t count,
                              std::span<const int> events) {
    std::vector<std::byte> message(sizeof(vfio_irq_set) + events.size_bytes());
    vfio_irq_set head{};
    head.argsz = static_cast<std::uint32_t>(message.size());
    head.flags = flags;
    head.index = index;
    head.start = start;
    head.count = count;
    std::memcpy(message.data(), &head, sizeof head);
    std::memcpy(message.data() + sizeof head, events.data(), events.size_bytes());
    if (::ioctl(fd_.get(), VFIO_DEVICE_SET_IRQS, message.data()) != 0) return refused();
    return {};
}

Result KernelDevice::set_events(std::uint32_t index, std::uint32_t start, std::span<const int> events) {
    return set_irqs(VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, index, start,
                    static_cast<std::uint32_t>(events.size()), events);
}

Result KernelDevice::unmask(std::uint32_t index, std::uint32_t number) {
    return set_irqs(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, index, number, 1, {});
}

Result KernelDevice::disable(std::uint32_t index) {
    return set_irqs(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 0, {});
}

Result KernelDevice::reset() {
    if (!can_reset_ || ::ioctl(fd_.get(), VFIO_DEVICE_RESET) != 0) return refused();
    return {};
}

Result KernelDevice::set_migration_state(spec::vfio::MigrationState) { return refused(); }
std::expected<std::vector<std::byte>, TransportError> KernelDevice::read_state() { return refused(); }
Result KernelDevice::write_state(std::span<const std::byte>) { return refused(); }

} // namespace touka::devices::vfio
