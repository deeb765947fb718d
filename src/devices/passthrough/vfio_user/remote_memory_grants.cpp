// What a remote device may reach of the guest's memory, and its own requests for it.
#include <algorithm>
#include <cerrno>

#include "devices/passthrough/vfio_user/remote_device.hpp"

namespace touka::devices::passthrough {

using namespace spec::vfio_user;
using memory::Iova;

DeviceTransport::Result RemoteDevice::send_grant(ClientConnection& connection, const MemoryGrant& grant) const {
    const std::uint32_t flags = (grant.readable ? kDmaReadable : 0u) | (grant.writable ? kDmaWriteable : 0u);
    const bool mappable = grant.file >= 0;
    const DmaMap map{sizeof map, flags, mappable ? grant.file_offset : 0, grant.start.value, grant.length_bytes};
    const auto reply = connection.call(Command::kDmaMap, bytes_of(map), settings_.answer_limit,
                                       std::span(&grant.file, mappable ? 1 : 0));
    if (!reply) return std::unexpected(reply.error());
    return {};
}

DeviceTransport::Result RemoteDevice::map_dma(const MemoryGrant& grant) {
    std::shared_ptr<ClientConnection> connection;
    {
        const std::scoped_lock lock(grants_mutex_);
        grants_.push_back(grant);
        ++grant_changes_;
        connection = link().connection;
    }
    if (!connection) return {}; // it gets it when it is back
    const auto sent = send_grant(*connection, grant);
    if (sent || sent.error() == TransportError::kGone) return {};
    const std::scoped_lock lock(grants_mutex_);
    std::erase_if(grants_, [&](const MemoryGrant& each) { return each.start == grant.start; });
    return sent;
}

DeviceTransport::Result RemoteDevice::unmap_dma(Iova start, std::uint64_t length_bytes) {
    {
        const std::scoped_lock lock(grants_mutex_);
        const auto removed = std::erase_if(
            grants_, [&](const MemoryGrant& each) { return each.start == start && each.length_bytes == length_bytes; });
        ++grant_changes_;
        if (removed == 0) return std::unexpected(TransportError::kRefused);
    }
    const DmaUnmap unmap{sizeof unmap, 0, start.value, length_bytes};
    const auto reply = call(Command::kDmaUnmap, bytes_of(unmap));
    // A server that is gone reaches nothing; one that refuses has lost its right to go on.
    if (reply || reply.error() == TransportError::kGone) return {};
    if (const auto connection = link().connection) connection->fail();
    return std::unexpected(TransportError::kRefused);
}

bool RemoteDevice::granted(Iova start, std::uint64_t length_bytes, memory::DmaAccess access) const {
    // An access may cover several grants that lie together.
    std::uint64_t left = length_bytes;
    while (left > 0) {
        const auto grant = std::ranges::find_if(grants_, [&](const MemoryGrant& each) {
            const bool allows = access == memory::DmaAccess::kRead ? each.readable : each.writable;
            return allows && start >= each.start && start - each.start < each.length_bytes;
        });
        if (grant == grants_.end()) return false;
        const std::uint64_t here = std::min(left, grant->length_bytes - (start - grant->start));
        left -= here;
        start = start + here;
    }
    return true;
}

std::expected<std::vector<std::byte>, int> RemoteDevice::serve(const Message& command) {
    const bool is_read = command.command() == Command::kDmaRead;
    if (!is_read && command.command() != Command::kDmaWrite) return std::unexpected(EINVAL);
    const auto access = command.at<DmaAccess>();
    if (!access || access->count == 0 || access->count > MessageChannel::kTransferLimitBytes) {
        return std::unexpected(EINVAL);
    }
    const auto data = command.after(sizeof *access);
    if (data.size() != (is_read ? 0 : access->count)) return std::unexpected(EINVAL);
    const Iova start{access->address};
    const auto kind = is_read ? memory::DmaAccess::kRead : memory::DmaAccess::kWrite;
    std::vector<std::byte> answer;
    append(answer, *access);
    // Under the lock, so that nothing is reached after its grant was taken back.
    const std::scoped_lock lock(grants_mutex_);
    bool done = granted(start, access->count, kind);
    if (done) {
        const auto use = dma_.use();
        if (is_read) {
            answer.resize(sizeof *access + access->count);
            done = dma_.read(start, std::span(answer).subspan(sizeof *access)).has_value();
        } else {
            done = dma_.write(start, data).has_value();
        }
    }
    if (done) return answer;
    faults_.record(start, access->count, kind);
    return std::unexpected(EFAULT);
}

} // namespace touka::devices::passthrough
