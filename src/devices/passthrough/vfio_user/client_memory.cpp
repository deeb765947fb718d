#include "devices/passthrough/vfio_user/client_memory.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace touka::devices::passthrough {

using namespace spec::vfio_user;
using Clock = std::chrono::steady_clock;

namespace {

/// @return false when the time is over.
bool wait_for(int fd, short events, Clock::time_point until) {
    while (true) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
        if (left <= 0) return false;
        pollfd ready{fd, events, 0};
        const int count = ::poll(&ready, 1, static_cast<int>(left));
        if (count >= 0 || errno != EINTR) return count > 0;
    }
}

} // namespace

std::optional<Message> TwinSocket::call(Command command, std::span<const std::byte> payload,
                                        std::chrono::milliseconds limit) {
    const auto until = Clock::now() + limit;
    const std::scoped_lock lock(mutex_);
    const Header header{++last_id_, static_cast<std::uint16_t>(command), 0, kTypeCommand, 0};
    if (!channel_.send(header, payload)) return std::nullopt;
    while (true) {
        const short events = static_cast<short>(POLLIN | (channel_.backlog_bytes() > 0 ? POLLOUT : 0));
        if (!wait_for(channel_.fd(), events, until) || !channel_.flush()) return std::nullopt;
        auto message = channel_.receive();
        if (!message) return std::nullopt;
        // Late replies to earlier calls are passed over.
        if (*message && (*message)->is_reply() && (*message)->header.message_id == last_id_) return std::move(*message);
    }
}

void TwinSocket::tell(Command command, std::span<const std::byte> payload) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock || !channel_.flush() || channel_.backlog_bytes() > 0) return;
    (void)channel_.send({++last_id_, static_cast<std::uint16_t>(command), 0, kTypeCommand | kNoReply, 0}, payload);
}

void TwinSocket::close() { ::shutdown(channel_.fd(), SHUT_RDWR); }

bool ClientMemory::read(memory::Iova address, std::span<std::byte> to) {
    while (!to.empty()) {
        const DmaAccess access{address.value, std::min(to.size(), transfer_bytes_)};
        const auto reply = commands_->call(Command::kDmaRead, bytes_of(access), limit_);
        if (!reply || (reply->header.flags & kError) != 0 || reply->payload.size() != sizeof access + access.count) {
            return false;
        }
        const auto data = reply->after(sizeof access);
        std::memcpy(to.data(), data.data(), data.size());
        address = address + data.size();
        to = to.subspan(data.size());
    }
    return true;
}

bool ClientMemory::write(memory::Iova address, std::span<const std::byte> from) {
    while (!from.empty()) {
        const DmaAccess access{address.value, std::min(from.size(), transfer_bytes_)};
        std::vector<std::byte> payload;
        append(payload, access);
        payload.insert(payload.end(), from.begin(), from.begin() + static_cast<std::ptrdiff_t>(access.count));
        const auto reply = commands_->call(Command::kDmaWrite, payload, limit_);
        if (!reply || (reply->header.flags & kError) != 0) return false;
        address = address + access.count;
        from = from.subspan(access.count);
    }
    return true;
}

void ClientMemory::blocked(memory::Iova address, memory::DmaAccess access) {
    // No bytes: whatever the client makes of it, it changes nothing.
    commands_->tell(access == memory::DmaAccess::kRead ? Command::kDmaRead : Command::kDmaWrite,
                    bytes_of(DmaAccess{address.value, 0}));
}

} // namespace touka::devices::passthrough
