// One end of a vfio-user connection: framed messages with descriptors. (vfio-user Protocol, "Header")
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <expected>
#include <optional>
#include <span>
#include <vector>

#include "runtime/descriptor_socket.hpp"
#include "runtime/unique_fd.hpp"
#include "spec/vfio_user/messages.hpp"

namespace touka::devices::passthrough {

using spec::vfio_user::Command;

struct Message {
    spec::vfio_user::Header header{};
    std::vector<std::byte> payload;
    std::vector<runtime::UniqueFd> descriptors;

    [[nodiscard]] Command command() const { return static_cast<Command>(header.command); }
    [[nodiscard]] bool is_reply() const {
        return (header.flags & spec::vfio_user::kTypeMask) == spec::vfio_user::kTypeReply;
    }
    [[nodiscard]] bool wants_reply() const { return (header.flags & spec::vfio_user::kNoReply) == 0; }
    /// The structure at `offset` of the payload, if all of it is there.
    template <class T>
    [[nodiscard]] std::optional<T> at(std::size_t offset = 0) const {
        if (offset > payload.size() || payload.size() - offset < sizeof(T)) return std::nullopt;
        T value;
        std::memcpy(&value, payload.data() + offset, sizeof value);
        return value;
    }
    /// What follows the first `offset` bytes; empty when nothing does.
    [[nodiscard]] std::span<const std::byte> after(std::size_t offset) const {
        return std::span(payload).subspan(offset < payload.size() ? offset : payload.size());
    }
};

enum class ChannelError {
    kClosed,    ///< by the peer, or broken
    kMalformed, ///< a size that no message has, or too many descriptors: nothing after it can be read
    kFull,      ///< the peer does not read what it is sent
};

/// Frames messages. Whatever the peer sends or does not read, memory and descriptors stay bounded; nothing waits: what
/// the socket does not take is kept and goes out with flush(). Not synchronised.
class MessageChannel {
public:
    /// Data of one message, more than which this end neither sends nor takes; and what may wait to be sent.
    static constexpr std::size_t kTransferLimitBytes = spec::vfio_user::kDefaultMaxTransferBytes,
                                 kPayloadLimitBytes = kTransferLimitBytes + 4096,
                                 kBacklogLimitBytes = 8 * kTransferLimitBytes;
    /// In one message. (capability max_msg_fds)
    static constexpr std::size_t kDescriptorLimit = 64;

    explicit MessageChannel(runtime::UniqueFd socket) : socket_(std::move(socket)) {}
    explicit MessageChannel(runtime::DescriptorSocket socket) : socket_(std::move(socket)) {}
    [[nodiscard]] int fd() const { return socket_.fd(); }

    /// The next message that is complete. @return nothing when it is not here yet; then more comes with EPOLLIN.
    [[nodiscard]] std::expected<std::optional<Message>, ChannelError> receive();

    /// @param header the size is filled in here.  @param descriptors stay the caller's.
    [[nodiscard]] std::expected<void, ChannelError>
    send(spec::vfio_user::Header header, std::span<const std::byte> payload, std::span<const int> descriptors = {});
    /// Sends what waits, as far as the socket takes it.
    [[nodiscard]] std::expected<void, ChannelError> flush();
    /// Bytes that wait for EPOLLOUT.
    [[nodiscard]] std::size_t backlog_bytes() const { return backlog_bytes_; }

private:
    struct Waiting {
        std::vector<std::byte> bytes;
        std::vector<runtime::UniqueFd> descriptors;
        std::size_t sent_bytes = 0;
    };
    [[nodiscard]] std::expected<void, ChannelError>
    keep(std::span<const std::byte> header, std::span<const std::byte> payload, std::span<const int> descriptors);

    runtime::DescriptorSocket socket_;
    std::size_t header_bytes_ = 0, payload_bytes_ = 0; // of the message that is coming in
    Message incoming_;
    std::deque<Waiting> waiting_;
    std::size_t backlog_bytes_ = 0;
};

/// A structure as bytes.
template <class T>
[[nodiscard]] std::span<const std::byte> bytes_of(const T& value) {
    return std::as_bytes(std::span(&value, 1));
}
/// Appends a structure.
template <class T>
void append(std::vector<std::byte>& bytes, const T& value) {
    const auto more = bytes_of(value);
    bytes.insert(bytes.end(), more.begin(), more.end());
}

} // namespace touka::devices::passthrough
