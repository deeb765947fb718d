// What a remote device may reach of the guest's memory, and its own requests for it.
#include <algorithm>
#include <cerrno>
#include <iterator>

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
        if (!grants_.emplace(grant.start, grant).second) return std::unexpected(TransportError::kRefused);
        ++grant_changes_;
        connection = link().connection;
    }
    if (!connection) return {}; // it gets it when it is back
    const auto sent = send_grant(*connection, grant);
    if (sent || sent.error() == TransportError::kGone) return {};
    const std::scoped_lock lock(grants_mutex_);
    grants_.erase(grant.start);
    return sent;
}

DeviceTransport::Result RemoteDevice::unmap_dma(Iova start, std::uint64_t length_bytes) {
    {
        const std::scoped_lock lock(grants_mutex_);
        const auto found = grants_.find(start);
        if (found == grants_.end() || found->second.length_bytes != length_bytes) {
            return std::unexpected(TransportError::kRefused);
        }
        grants_.erase(found);
        ++grant_changes_;
    }
    const DmaUnmap unmap{sizeof unmap, 0, start.value, length_bytes};
    const auto reply = call(Command::kDmaUnmap, bytes_of(unmap));
    // A server that is gone reaches nothing; one that refuses has lost its right to go on.
    if (reply || reply.error() == TransportError::kGone) return {};
    if (const auto connection = link().connection) connection->fail();
    return std::unexpected(TransportError::kRefused);
}

std::optional<Iova> RemoteDevice::not_granted(Iova start, std::uint64_t length_bytes, memory::DmaAccess access) const {
    if (translates_) {
        // A request whose address is not translated: what stands in between decides, and records.
        if (length_bytes == 0 && !dma_.translate(start, 1, access)) return start;
        return std::nullopt;
    }
    // An access may cover several grants that lie together; one of no bytes is at its address all the same.
    for (std::uint64_t left = std::max<std::uint64_t>(length_bytes, 1); left > 0;) {
        const auto next = grants_.upper_bound(start);
        if (next == grants_.begin()) return start;
        const MemoryGrant& grant = std::prev(next)->second;
        const bool allows = access == memory::DmaAccess::kRead ? grant.readable : grant.writable;
        if (!allows || start - grant.start >= grant.length_bytes) return start;
        const std::uint64_t here = std::min(left, grant.length_bytes - (start - grant.start));
        left -= here;
        start = start + here;
    }
    return std::nullopt;
}

std::unexpected<int> RemoteDevice::refuse(Iova address, std::uint64_t length_bytes, memory::DmaAccess access) {
    faults_.record(address, length_bytes, access);
    return std::unexpected(EFAULT);
}

std::expected<std::vector<std::byte>, int> RemoteDevice::serve(const Message& command) {
    if (command.command() == Command::kTranslate) return serve_translation(command);
    const bool is_read = command.command() == Command::kDmaRead;
    if (!is_read && command.command() != Command::kDmaWrite) return std::unexpected(EINVAL);
    const auto access = command.at<DmaAccess>();
    if (!access || access->count > MessageChannel::kTransferLimitBytes) return std::unexpected(EINVAL);
    const auto data = command.after(sizeof *access);
    if (data.size() != (is_read ? 0 : access->count)) return std::unexpected(EINVAL);
    const Iova start{access->address};
    const auto kind = is_read ? memory::DmaAccess::kRead : memory::DmaAccess::kWrite;
    std::vector<std::byte> answer;
    append(answer, *access);
    // Under the lock, so that nothing is reached after its grant was taken back.
    const std::scoped_lock lock(grants_mutex_);
    const auto use = dma_.use();
    if (const auto wrong = not_granted(start, access->count, kind)) {
        // Who stands in between finds the same, and records it.
        if (!translates_) (void)dma_.translate(*wrong, 1, kind);
        return refuse(*wrong, access->count, kind);
    }
    bool done = true;
    if (is_read) {
        answer.resize(sizeof *access + access->count);
        done = dma_.read(start, std::span(answer).subspan(sizeof *access)).has_value();
    } else {
        done = dma_.write(start, data).has_value();
    }
    if (!done) return refuse(start, access->count, kind);
    return answer;
}

} // namespace touka::devices::passthrough
