#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "devices/passthrough/vfio/io_address_space.hpp"
#include "devices/passthrough/vfio/ioas.hpp"
#include "devices/passthrough/vfio/kernel_calls.hpp"
#include "devices/passthrough/vfio/vfio_container.hpp"

namespace touka::devices::vfio {

/// A function that a machine has, and the address space that it reaches. Lives longer than the function's file.
class HostPlace {
public:
    HostPlace(HostFunction function, std::shared_ptr<IoAddressSpace> space, bool iommufd)
        : function_(std::move(function)), space_(std::move(space)), iommufd_(iommufd) {}
    ~HostPlace() {
        if (opened_) space_->device_closed(function_);
    }
    HostPlace(const HostPlace&) = delete;
    HostPlace& operator=(const HostPlace&) = delete;

    /// Once.  @return its file, or what is wrong and what to do.
    [[nodiscard]] std::expected<runtime::UniqueFd, std::string> open();
    [[nodiscard]] const HostFunction& function() const { return function_; }
    [[nodiscard]] IoAddressSpace& space() const { return *space_; }
    [[nodiscard]] bool by_iommufd() const { return iommufd_; }

private:
    HostFunction function_;
    std::shared_ptr<IoAddressSpace> space_; // shared: without an IOMMU of the machine's all its functions have one
    bool iommufd_;
    bool opened_ = false;
};

/// Where the kernel has them.
struct HostIommuFiles {
    std::string iommu = "/dev/iommu", vfio = "/dev/vfio";
};

/// How the functions of the host that a machine has get to its memory: by iommufd where the kernel has it, else by the
/// containers of VFIO's groups.
/// @thread the machine's control thread; places end on any.
class HostIommu {
public:
    /// @param apart each function reaches other memory than others do, and has a space of its own.
    /// @param kernel outlives it.
    explicit HostIommu(bool apart, KernelCalls& kernel = host_kernel(), HostIommuFiles files = {})
        : apart_(apart), kernel_(kernel), files_(std::move(files)) {}

    /// @param all the host's functions, with those of its group.  @pre nothing is in its way (obstacle()).
    /// @param iommufd nothing: where the kernel has it, and this user may.
    /// @return shared, since what the machine has is looked at by weak ones; or what is wrong and what to do, also for
    /// one
    ///   that the machine has.
    [[nodiscard]] std::expected<std::shared_ptr<HostPlace>, std::string>
    place(const HostFunction& function, const std::vector<HostFunction>& all, std::optional<bool> iommufd);

private:
    [[nodiscard]] std::vector<std::shared_ptr<HostPlace>> group_of(const HostFunction& function);
    [[nodiscard]] bool may_use_iommufd(const HostFunction& function);
    [[nodiscard]] std::expected<std::shared_ptr<IoAddressSpace>, std::string> space(bool iommufd);
    [[nodiscard]] std::expected<std::shared_ptr<IoAddressSpace>, std::string> new_space(bool iommufd);

    bool apart_;
    KernelCalls& kernel_;
    HostIommuFiles files_;
    std::vector<std::weak_ptr<HostPlace>> places_; // those of functions that have left are gone
    std::weak_ptr<Iommufd> iommufd_;
    std::weak_ptr<IoAddressSpace> container_, ioas_; // of all functions, unless they are apart
};

} // namespace touka::devices::vfio
