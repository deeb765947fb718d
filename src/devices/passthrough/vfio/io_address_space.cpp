#include "devices/passthrough/vfio/io_address_space.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

namespace touka::devices::vfio {

using passthrough::TransportError;

std::span<std::byte> IoAddressSpace::memory_of(const passthrough::MemoryGrant& grant) {
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

IoAddressSpace::Result IoAddressSpace::map(const passthrough::MemoryGrant& grant) {
    const std::scoped_lock lock(mutex_);
    if (const auto found = mapped_.find(grant.start.value); found != mapped_.end()) {
        if (found->second.length_bytes != grant.length_bytes) return std::unexpected(TransportError::kRefused);
        ++found->second.users;
        return {};
    }
    const auto memory = memory_of(grant);
    if (memory.empty() || !enter(grant.start.value, memory, grant.readable, grant.writable)) {
        return std::unexpected(TransportError::kRefused);
    }
    mapped_.emplace(grant.start.value, Mapped{grant.length_bytes, 1});
    return {};
}

IoAddressSpace::Result IoAddressSpace::unmap(memory::Iova start, std::uint64_t length_bytes) {
    const std::scoped_lock lock(mutex_);
    const auto found = mapped_.find(start.value);
    if (found == mapped_.end() || found->second.length_bytes != length_bytes) {
        return std::unexpected(TransportError::kRefused);
    }
    if (--found->second.users > 0) return {};
    mapped_.erase(found);
    if (!remove(start.value, length_bytes)) return std::unexpected(TransportError::kRefused);
    return {};
}

} // namespace touka::devices::vfio
