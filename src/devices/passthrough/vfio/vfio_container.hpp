#pragma once

#include <expected>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "devices/passthrough/device_transport.hpp"
#include "runtime/shared_mapping.hpp"
#include "runtime/unique_fd.hpp"

namespace touka::devices::vfio {

/// The IOMMU groups that a machine has, and the memory that all their devices reach: one table for all of them.
/// (Linux Documentation/driver-api/vfio.rst) Any thread.
class VfioContainer {
public:
    /// @param folder "/dev/vfio".  @return what is wrong and what to do.
    [[nodiscard]] static std::expected<std::shared_ptr<VfioContainer>, std::string>
    open(const std::string& folder = "/dev/vfio");
    ~VfioContainer() = default;
    VfioContainer(const VfioContainer&) = delete;
    VfioContainer& operator=(const VfioContainer&) = delete;

    /// A device of a group, which is added when it is not here yet.  @param address as sysfs has it.
    [[nodiscard]] std::expected<runtime::UniqueFd, std::string> open_device(unsigned group, const std::string& address);

    /// For all devices at once: what one of them was granted already is there.
    [[nodiscard]] passthrough::DeviceTransport::Result map(const passthrough::MemoryGrant& grant);
    [[nodiscard]] passthrough::DeviceTransport::Result unmap(memory::Iova start, std::uint64_t length_bytes);

private:
    VfioContainer(std::string folder, runtime::UniqueFd fd) : folder_(std::move(folder)), fd_(std::move(fd)) {}
    [[nodiscard]] std::expected<int, std::string> add_group(unsigned number);

    std::string folder_;
    runtime::UniqueFd fd_;
    std::mutex mutex_; // guards what follows
    std::map<unsigned, runtime::UniqueFd> groups_;
    struct Mapped {
        std::uint64_t length_bytes = 0;
        unsigned users = 0;
    };
    /// A whole file, since mappings may be many and of one page each.
    struct File {
        std::uint64_t device = 0, inode = 0; // nobody else's while it is mapped
        runtime::SharedMapping memory;
    };
    [[nodiscard]] std::span<std::byte> memory_of(const passthrough::MemoryGrant& grant);
    std::vector<File> files_;
    std::map<std::uint64_t, Mapped> mapped_; // by I/O virtual address
};

} // namespace touka::devices::vfio
