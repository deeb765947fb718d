#include "devices/passthrough/vfio/ioas.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "spec/vfio/iommufd.hpp"

namespace touka::devices::vfio {

using namespace spec::vfio;

namespace {

constexpr const char* kNoIommufd = "iommufd needs Linux 6.6 or later with CONFIG_IOMMUFD (modprobe iommufd); with "
                                   "iommufd=off the device is taken by its group";
constexpr const char* kNoFile = "the device has been taken from vfio-pci, or udev has made no file for it";

std::unexpected<std::string> failure(std::string text) { return std::unexpected(std::move(text)); }

/// Why the kernel does not give a function to an iommufd, by errno.
std::string binding_failed(const HostFunction& function) {
    switch (errno) {
        case EINVAL: // it is open already
        case EBUSY:
            return fmt::format("{}: another program has it, or another function of IOMMU group {}", function.address,
                               *function.iommu_group);
        case EPERM:
            return fmt::format("{}: the IOMMU cannot be used: {}; without interrupt remapping Linux wants the module "
                               "iommufd to have allow_unsafe_interrupts=1",
                               function.address, std::strerror(errno));
        default: return fmt::format("{}: iommufd does not take it: {}", function.address, std::strerror(errno));
    }
}

/// The same for an address space.
std::string attaching_failed(const HostFunction& function) {
    switch (errno) {
        case EINVAL:
            return fmt::format("{}: the host's IOMMU does not let it reach other memory than what else is in IOMMU "
                               "group {}",
                               function.address, *function.iommu_group);
        case EADDRINUSE:
            return fmt::format("{}: addresses that the host's IOMMU keeps for it are those of the machine's memory",
                               function.address);
        case ENOMEM:
            return fmt::format("{}: {}; perhaps the limit on locked memory (ulimit -l)", function.address,
                               std::strerror(errno));
        default: return fmt::format("{}: {}", function.address, std::strerror(errno));
    }
}

} // namespace

std::expected<std::shared_ptr<Iommufd>, std::string> Iommufd::open(KernelCalls& kernel, const std::string& path) {
    runtime::UniqueFd fd = kernel.open(path);
    if (!fd) return failure(opening_failed(path, kNoIommufd));
    return std::shared_ptr<Iommufd>(new Iommufd(kernel, std::move(fd)));
}

std::expected<std::shared_ptr<Ioas>, std::string> Ioas::create(std::shared_ptr<Iommufd> iommufd,
                                                               const std::string& devices) {
    IommuIoasAlloc alloc{.size = sizeof alloc, .flags = 0, .out_ioas_id = 0};
    if (iommufd->kernel().ioctl(iommufd->fd(), IOMMU_IOAS_ALLOC, &alloc) != 0) {
        return failure(fmt::format("iommufd makes no address space: {}", std::strerror(errno)));
    }
    return std::shared_ptr<Ioas>(new Ioas(std::move(iommufd), devices, alloc.out_ioas_id));
}

Ioas::~Ioas() {
    IommuDestroy destroy{.size = sizeof destroy, .id = id_};
    (void)call(IOMMU_DESTROY, &destroy);
}

std::expected<runtime::UniqueFd, std::string> Ioas::open_device(const HostFunction& function) {
    if (function.vfio_device.empty()) {
        return failure(fmt::format("{}: the kernel has no file for it alone, as Linux 6.6 or later with "
                                   "CONFIG_VFIO_DEVICE_CDEV has; with iommufd=off it is taken by its group",
                                   function.address));
    }
    const std::string path = fmt::format("{}/{}", devices_, function.vfio_device);
    runtime::UniqueFd device = iommufd_->kernel().open(path);
    if (!device) return failure(opening_failed(path, kNoFile));
    DeviceBindIommufd bind{.argsz = sizeof bind, .flags = 0, .iommufd = iommufd_->fd(), .out_devid = 0};
    if (iommufd_->kernel().ioctl(device.get(), VFIO_DEVICE_BIND_IOMMUFD, &bind) != 0) {
        return failure(binding_failed(function));
    }
    DeviceAttachIommufdPt attach{.argsz = sizeof attach, .flags = 0, .pt_id = id_};
    if (iommufd_->kernel().ioctl(device.get(), VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach) != 0) {
        return failure(attaching_failed(function));
    }
    return device;
}

std::string_view Ioas::limit_is_shared() const { return ", which counts what all programs of this user have pinned"; }

bool Ioas::enter(std::uint64_t iova, std::span<std::byte> memory, bool readable, bool writable) {
    IommuIoasMap map{};
    map.size = sizeof map;
    map.flags = IOMMU_IOAS_MAP_FIXED_IOVA | (readable ? IOMMU_IOAS_MAP_READABLE : 0u) |
                (writable ? IOMMU_IOAS_MAP_WRITEABLE : 0u);
    map.ioas_id = id_;
    map.user_va = reinterpret_cast<std::uintptr_t>(memory.data());
    map.length = memory.size();
    map.iova = iova;
    return call(IOMMU_IOAS_MAP, &map) == 0;
}

bool Ioas::remove(std::uint64_t iova, std::uint64_t length_bytes) {
    IommuIoasUnmap unmap{.size = sizeof unmap, .ioas_id = id_, .iova = iova, .length = length_bytes};
    return call(IOMMU_IOAS_UNMAP, &unmap) == 0 && unmap.length == length_bytes;
}

} // namespace touka::devices::vfio
