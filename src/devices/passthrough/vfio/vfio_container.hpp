#pragma once

#include <expected>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "devices/passthrough/vfio/io_address_space.hpp"
#include "devices/passthrough/vfio/kernel_calls.hpp"
#include "runtime/unique_fd.hpp"

namespace touka::devices::vfio {

/// One that IOMMU groups are added to as a whole. (Linux Documentation/driver-api/vfio.rst) Any thread.
class VfioContainer final : public IoAddressSpace {
public:
    /// @param kernel outlives it.  @param folder "/dev/vfio".  @return what is wrong and what to do.
    [[nodiscard]] static std::expected<std::shared_ptr<VfioContainer>, std::string> open(KernelCalls& kernel,
                                                                                         const std::string& folder);
    [[nodiscard]] std::expected<runtime::UniqueFd, std::string> open_device(const HostFunction& function) override;
    /// A group whose devices are all closed is nobody's again.
    void device_closed(const HostFunction& function) override;
    /// Each process has its count.
    [[nodiscard]] std::string_view limit_is_shared() const override { return {}; }

private:
    VfioContainer(KernelCalls& kernel, std::string folder, runtime::UniqueFd fd)
        : kernel_(kernel), folder_(std::move(folder)), fd_(std::move(fd)) {}
    struct Group {
        runtime::UniqueFd fd;
        unsigned devices = 0; ///< open ones
    };
    [[nodiscard]] std::expected<Group*, std::string> add_group(unsigned group_number);
    [[nodiscard]] bool enter(std::uint64_t iova, std::span<std::byte> memory, bool readable, bool writable) override;
    [[nodiscard]] bool remove(std::uint64_t iova, std::uint64_t length_bytes) override;

    KernelCalls& kernel_;
    std::string folder_;
    runtime::UniqueFd fd_;
    std::mutex groups_mutex_; // guards groups_; never with the mappings' one
    std::map<unsigned, Group> groups_;
};

} // namespace touka::devices::vfio
