#include "devices/passthrough/vfio/vfio_container.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace touka::devices::vfio {

using passthrough::DeviceTransport;
using passthrough::TransportError;

namespace {

std::unexpected<std::string> failure(std::string text) { return std::unexpected(std::move(text)); }

std::string opening_failed(const std::string& path) {
    switch (errno) {
        case ENOENT: return fmt::format("{}: not there; load the module vfio-pci and bind the device to it", path);
        case EACCES:
        case EPERM: return fmt::format("{}: no permission; run as root, or give the file to this user", path);
        case EBUSY: return fmt::format("{}: another program has it", path);
        default: return fmt::format("{}: {}", path, std::strerror(errno));
    }
}

} // namespace

std::expected<std::shared_ptr<VfioContainer>, std::string> VfioContainer::open(const std::string& folder) {
    const std::string path = folder + "/vfio";
    runtime::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd) return failure(opening_failed(path));
    if (::ioctl(fd.get(), VFIO_GET_API_VERSION) != VFIO_API_VERSION) {
        return failure(fmt::format("{}: not the version of VFIO's interface that this program knows", path));
    }
    if (::ioctl(fd.get(), VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) <= 0) {
        return failure(fmt::format("{}: the host's IOMMU has no type 1 interface", path));
    }
    return std::shared_ptr<VfioContainer>(new VfioContainer(folder, std::move(fd)));
}

std::expected<int, std::string> VfioContainer::add_group(unsigned number) {
    if (const auto found = groups_.find(number); found != groups_.end()) return found->second.get();
    const std::string path = fmt::format("{}/{}", folder_, number);
    runtime::UniqueFd group(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!group) return failure(opening_failed(path));
    vfio_group_status status{};
    status.argsz = sizeof status;
    if (::ioctl(group.get(), VFIO_GROUP_GET_STATUS, &status) != 0 || (status.flags & VFIO_GROUP_FLAGS_VIABLE) == 0) {
        return failure(fmt::format("group {}: not viable: other devices of it have drivers of the host; touka devices "
                                   "lists them",
                                   number));
    }
    const int container = fd_.get();
    if (::ioctl(group.get(), VFIO_GROUP_SET_CONTAINER, &container) != 0) {
        return failure(fmt::format("group {}: {}", number, std::strerror(errno)));
    }
    if (groups_.empty() && ::ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) != 0) {
        const int error = errno;
        (void)::ioctl(group.get(), VFIO_GROUP_UNSET_CONTAINER);
        return failure(fmt::format("group {}: the IOMMU cannot be used: {}{}", number, std::strerror(error),
                                   error == EPERM ? "; without interrupt remapping Linux wants the module "
                                                    "vfio_iommu_type1 to have allow_unsafe_interrupts=1"
                                                  : ""));
    }
    return groups_.emplace(number, std::move(group)).first->second.get();
}

std::expected<runtime::UniqueFd, std::string> VfioContainer::open_device(unsigned number, const std::string& address) {
    const std::scoped_lock lock(mutex_);
    const auto group = add_group(number);
    if (!group) return failure(group.error());
    runtime::UniqueFd device(::ioctl(*group, VFIO_GROUP_GET_DEVICE_FD, address.c_str()));
    if (!device) return failure(fmt::format("{}: {}", address, std::strerror(errno)));
    return device;
}

std::span<std::byte> VfioContainer::memory_of(const passthrough::MemoryGrant& grant) {
    struct stat status{};
    if (::fstat(grant.file, &status) != 0) return {};
    auto file = std::ranges::find_if(
        files_, [&](const File& each) { return each.device == status.st_dev && each.inode == status.st_ino; });
    if (file == files_.end()) {
        const runtime::UniqueFd own(::fcntl(grant.file, F_DUPFD_CLOEXEC, 0));
        auto memory = runtime::SharedMapping::map(own, 0, static_cast<std::uint64_t>(status.st_size));
        if (!memory) return {};
        file = files_.insert(files_.end(), File{status.st_dev, status.st_ino, std::move(*memory)});
    }
    const auto all = file->memory.bytes();
    const bool within = grant.file_offset <= all.size() && grant.length_bytes <= all.size() - grant.file_offset;
    return within ? all.subspan(grant.file_offset, grant.length_bytes) : std::span<std::byte>();
}

DeviceTransport::Result VfioContainer::map(const passthrough::MemoryGrant& grant) {
    const std::scoped_lock lock(mutex_);
    if (const auto found = mapped_.find(grant.start.value); found != mapped_.end()) {
        if (found->second.length_bytes != grant.length_bytes) return std::unexpected(TransportError::kRefused);
        ++found->second.users;
        return {};
    }
    const auto memory = memory_of(grant);
    if (memory.empty()) return std::unexpected(TransportError::kRefused);
    vfio_iommu_type1_dma_map map{};
    map.argsz = sizeof map;
    map.flags = (grant.readable ? VFIO_DMA_MAP_FLAG_READ : 0u) | (grant.writable ? VFIO_DMA_MAP_FLAG_WRITE : 0u);
    map.vaddr = reinterpret_cast<std::uintptr_t>(memory.data());
    map.iova = grant.start.value;
    map.size = grant.length_bytes;
    if (::ioctl(fd_.get(), VFIO_IOMMU_MAP_DMA, &map) != 0) return std::unexpected(TransportError::kRefused);
    mapped_.emplace(grant.start.value, Mapped{grant.length_bytes, 1});
    return {};
}

DeviceTransport::Result VfioContainer::unmap(memory::Iova start, std::uint64_t length_bytes) {
    const std::scoped_lock lock(mutex_);
    const auto found = mapped_.find(start.value);
    if (found == mapped_.end() || found->second.length_bytes != length_bytes) {
        return std::unexpected(TransportError::kRefused);
    }
    if (--found->second.users > 0) return {};
    vfio_iommu_type1_dma_unmap unmap{};
    unmap.argsz = sizeof unmap;
    unmap.iova = start.value;
    unmap.size = length_bytes;
    const bool unmapped = ::ioctl(fd_.get(), VFIO_IOMMU_UNMAP_DMA, &unmap) == 0;
    mapped_.erase(found);
    if (!unmapped) return std::unexpected(TransportError::kRefused);
    return {};
}

} // namespace touka::devices::vfio
