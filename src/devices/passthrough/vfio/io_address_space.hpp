#pragma once

#include <expected>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "devices/passthrough/device_transport.hpp"
#include "devices/passthrough/vfio/host_functions.hpp"
#include "runtime/shared_mapping.hpp"
#include "runtime/unique_fd.hpp"

namespace touka::devices::vfio {

/// A table of the host's IOMMU: what is mapped here, all functions that were opened by it reach. It outlives them.
/// Any thread.
class IoAddressSpace {
public:
    using Result = passthrough::DeviceTransport::Result;

    virtual ~IoAddressSpace() = default;
    IoAddressSpace(const IoAddressSpace&) = delete;
    IoAddressSpace& operator=(const IoAddressSpace&) = delete;

    /// A function that reaches it from now on, until its file is closed.  @return what is wrong and what to do.
    [[nodiscard]] virtual std::expected<runtime::UniqueFd, std::string> open_device(const HostFunction& function) = 0;
    /// Its file is closed.
    virtual void device_closed(const HostFunction& function) = 0;
    /// What else than this machine counts against the limit on locked memory, as the end of a sentence.
    [[nodiscard]] virtual std::string_view limit_is_shared() const = 0;

    /// For all functions at once: what one of them was granted already is there.
    [[nodiscard]] Result map(const passthrough::MemoryGrant& grant);
    [[nodiscard]] Result unmap(memory::Iova start, std::uint64_t length_bytes);

protected:
    IoAddressSpace() = default;

private:
    /// @param memory mapped in this process, and pinned by the kernel from now on.  @return false: refused.
    [[nodiscard]] virtual bool enter(std::uint64_t iova, std::span<std::byte> memory, bool readable, bool writable) = 0;
    [[nodiscard]] virtual bool remove(std::uint64_t iova, std::uint64_t length_bytes) = 0;

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

    std::mutex mutex_; // guards what follows
    std::vector<File> files_;
    std::map<std::uint64_t, Mapped> mapped_; // by I/O virtual address
};

} // namespace touka::devices::vfio
