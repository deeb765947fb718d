#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "devices/passthrough/vfio/io_address_space.hpp"
#include "devices/passthrough/vfio/kernel_calls.hpp"
#include "runtime/unique_fd.hpp"

namespace touka::devices::vfio {

/// /dev/iommu: what address spaces belong to. One for a machine, since the kernel gives the functions of one IOMMU
/// group to one of them. Any thread.
class Iommufd {
public:
    /// @param kernel outlives it.  @return what is wrong and what to do.
    [[nodiscard]] static std::expected<std::shared_ptr<Iommufd>, std::string> open(KernelCalls& kernel,
                                                                                   const std::string& path);
    [[nodiscard]] KernelCalls& kernel() const { return kernel_; }
    [[nodiscard]] int fd() const { return fd_.get(); }

private:
    Iommufd(KernelCalls& kernel, runtime::UniqueFd fd) : kernel_(kernel), fd_(std::move(fd)) {}

    KernelCalls& kernel_;
    runtime::UniqueFd fd_;
};

/// An address space of iommufd's, an "IOAS": functions are attached to it one by one.
/// (Linux Documentation/userspace-api/iommufd.rst) Any thread.
class Ioas final : public IoAddressSpace {
public:
    /// @param devices "/dev/vfio/devices".  @param iommufd shared, since it is as old as the oldest of its spaces.
    [[nodiscard]] static std::expected<std::shared_ptr<Ioas>, std::string> create(std::shared_ptr<Iommufd> iommufd,
                                                                                  const std::string& devices);
    ~Ioas() override;

    [[nodiscard]] std::expected<runtime::UniqueFd, std::string> open_device(const HostFunction& function) override;
    void device_closed(const HostFunction&) override {} // closing unbinds it
    /// The kernel counts what a user has pinned in all.
    [[nodiscard]] std::string_view limit_is_shared() const override;

private:
    Ioas(std::shared_ptr<Iommufd> iommufd, std::string devices, std::uint32_t id)
        : iommufd_(std::move(iommufd)), devices_(std::move(devices)), id_(id) {}
    [[nodiscard]] int call(unsigned long request, void* argument) const {
        return iommufd_->kernel().ioctl(iommufd_->fd(), request, argument);
    }
    [[nodiscard]] bool enter(std::uint64_t iova, std::span<std::byte> memory, bool readable, bool writable) override;
    [[nodiscard]] bool remove(std::uint64_t iova, std::uint64_t length_bytes) override;

    std::shared_ptr<Iommufd> iommufd_;
    std::string devices_;
    std::uint32_t id_;
};

} // namespace touka::devices::vfio
