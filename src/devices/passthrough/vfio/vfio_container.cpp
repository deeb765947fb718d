#include "devices/passthrough/vfio/vfio_container.hpp"

#include <fmt/format.h>
#include <linux/vfio.h>

#include <cerrno>
#include <cstring>

namespace touka::devices::vfio {

namespace {

constexpr const char* kAbsence = "load the module vfio-pci and bind the device to it";

std::unexpected<std::string> failure(std::string text) { return std::unexpected(std::move(text)); }

/// Some requests want a number where others want a structure.
void* number(unsigned long value) { return reinterpret_cast<void*>(value); } // NOLINT(performance-no-int-to-ptr)

} // namespace

std::expected<std::shared_ptr<VfioContainer>, std::string> VfioContainer::open(KernelCalls& kernel,
                                                                               const std::string& folder) {
    const std::string path = folder + "/vfio";
    runtime::UniqueFd fd = kernel.open(path);
    if (!fd) return failure(opening_failed(path, kAbsence));
    if (kernel.ioctl(fd.get(), VFIO_GET_API_VERSION, nullptr) != VFIO_API_VERSION) {
        return failure(fmt::format("{}: not the version of VFIO's interface that this program knows", path));
    }
    if (kernel.ioctl(fd.get(), VFIO_CHECK_EXTENSION, number(VFIO_TYPE1v2_IOMMU)) <= 0) {
        return failure(fmt::format("{}: the host's IOMMU has no type 1 interface", path));
    }
    return std::shared_ptr<VfioContainer>(new VfioContainer(kernel, folder, std::move(fd)));
}

std::expected<VfioContainer::Group*, std::string> VfioContainer::add_group(unsigned group_number) {
    if (const auto found = groups_.find(group_number); found != groups_.end()) return &found->second;
    const std::string path = fmt::format("{}/{}", folder_, group_number);
    runtime::UniqueFd group = kernel_.open(path);
    if (!group) return failure(opening_failed(path, kAbsence));
    vfio_group_status status{};
    status.argsz = sizeof status;
    if (kernel_.ioctl(group.get(), VFIO_GROUP_GET_STATUS, &status) != 0 ||
        (status.flags & VFIO_GROUP_FLAGS_VIABLE) == 0) {
        return failure(fmt::format("group {}: not viable: other devices of it have drivers of the host; touka devices "
                                   "lists them",
                                   group_number));
    }
    int container = fd_.get();
    if (kernel_.ioctl(group.get(), VFIO_GROUP_SET_CONTAINER, &container) != 0) {
        return failure(fmt::format("group {}: {}", group_number, std::strerror(errno)));
    }
    if (groups_.empty() && kernel_.ioctl(container, VFIO_SET_IOMMU, number(VFIO_TYPE1v2_IOMMU)) != 0) {
        const int error = errno;
        (void)kernel_.ioctl(group.get(), VFIO_GROUP_UNSET_CONTAINER, nullptr);
        return failure(fmt::format("group {}: the IOMMU cannot be used: {}{}", group_number, std::strerror(error),
                                   error == EPERM ? "; without interrupt remapping Linux wants the module "
                                                    "vfio_iommu_type1 to have allow_unsafe_interrupts=1"
                                                  : ""));
    }
    return &groups_.emplace(group_number, Group{std::move(group)}).first->second;
}

std::expected<runtime::UniqueFd, std::string> VfioContainer::open_device(const HostFunction& function) {
    const std::scoped_lock lock(groups_mutex_);
    const auto group = add_group(*function.iommu_group);
    if (!group) return failure(group.error());
    std::string name = function.address;
    runtime::UniqueFd device(kernel_.ioctl((*group)->fd.get(), VFIO_GROUP_GET_DEVICE_FD, name.data()));
    const int error = errno;
    if (device) ++(*group)->devices;
    if ((*group)->devices == 0) groups_.erase(*function.iommu_group);
    if (!device) return failure(fmt::format("{}: {}", function.address, std::strerror(error)));
    return device;
}

void VfioContainer::device_closed(const HostFunction& function) {
    const std::scoped_lock lock(groups_mutex_);
    const auto group = groups_.find(*function.iommu_group);
    if (--group->second.devices == 0) groups_.erase(group);
}

bool VfioContainer::enter(std::uint64_t iova, std::span<std::byte> memory, bool readable, bool writable) {
    vfio_iommu_type1_dma_map map{};
    map.argsz = sizeof map;
    map.flags = (readable ? VFIO_DMA_MAP_FLAG_READ : 0u) | (writable ? VFIO_DMA_MAP_FLAG_WRITE : 0u);
    map.vaddr = reinterpret_cast<std::uintptr_t>(memory.data());
    map.iova = iova;
    map.size = memory.size();
    return kernel_.ioctl(fd_.get(), VFIO_IOMMU_MAP_DMA, &map) == 0;
}

bool VfioContainer::remove(std::uint64_t iova, std::uint64_t length_bytes) {
    vfio_iommu_type1_dma_unmap unmap{};
    unmap.argsz = sizeof unmap;
    unmap.iova = iova;
    unmap.size = length_bytes;
    return kernel_.ioctl(fd_.get(), VFIO_IOMMU_UNMAP_DMA, &unmap) == 0;
}

} // namespace touka::devices::vfio
