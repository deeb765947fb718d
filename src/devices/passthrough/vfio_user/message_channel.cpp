#include "devices/passthrough/vfio_user/message_channel.hpp"

#include <fcntl.h>

#include <array>
#include <utility>

namespace touka::devices::passthrough {

using spec::vfio_user::Header;

namespace {

ChannelError to_channel_error(runtime::SocketError error) {
    return error == runtime::SocketError::kClosed ? ChannelError::kClosed : ChannelError::kMalformed;
}

} // namespace

std::expected<std::optional<Message>, ChannelError> MessageChannel::receive() {
    const auto header = socket_.fill(std::as_writable_bytes(std::span(&incoming_.header, 1)), header_bytes_,
                                     incoming_.descriptors, kDescriptorLimit);
    if (!header) return std::unexpected(to_channel_error(header.error()));
    if (!*header) return std::nullopt;
    const std::uint32_t size = incoming_.header.message_size;
    if (size < sizeof(Header) || size - sizeof(Header) > kPayloadLimitBytes) {
        return std::unexpected(ChannelError::kMalformed);
    }
    incoming_.payload.resize(size - sizeof(Header));
    const auto payload = socket_.fill(incoming_.payload, payload_bytes_, incoming_.descriptors, kDescriptorLimit);
    if (!payload) return std::unexpected(to_channel_error(payload.error()));
    if (!*payload) return std::nullopt;
    header_bytes_ = payload_bytes_ = 0;
    return std::exchange(incoming_, {});
}

std::expected<void, ChannelError> MessageChannel::send(Header header, std::span<const std::byte> payload,
                                                       std::span<const int> descriptors) {
    header.message_size = static_cast<std::uint32_t>(sizeof header + payload.size());
    const auto head = bytes_of(header);
    if (!waiting_.empty()) return keep(head, payload, descriptors);
    const auto sent = socket_.send(head, payload, descriptors);
    if (!sent) return std::unexpected(to_channel_error(sent.error()));
    if (*sent == header.message_size) return {};
    if (*sent > 0) descriptors = {}; // they went with the first byte
    const std::size_t of_header = std::min(*sent, head.size());
    return keep(head.subspan(of_header), payload.subspan(*sent - of_header), descriptors);
}

std::expected<void, ChannelError> MessageChannel::keep(std::span<const std::byte> header,
                                                       std::span<const std::byte> payload,
                                                       std::span<const int> descriptors) {
    if (backlog_bytes_ + header.size() + payload.size() > kBacklogLimitBytes) {
        return std::unexpected(ChannelError::kFull);
    }
    Waiting rest;
    rest.bytes.assign(header.begin(), header.end());
    rest.bytes.insert(rest.bytes.end(), payload.begin(), payload.end());
    for (const int fd : descriptors) {
        rest.descriptors.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
        if (!rest.descriptors.back()) return std::unexpected(ChannelError::kClosed);
    }
    backlog_bytes_ += rest.bytes.size();
    waiting_.push_back(std::move(rest));
    return {};
}

std::expected<void, ChannelError> MessageChannel::flush() {
    while (!waiting_.empty()) {
        Waiting& next = waiting_.front();
        std::vector<int> descriptors;
        descriptors.reserve(next.descriptors.size());
        for (const auto& fd : next.descriptors) descriptors.push_back(fd.get());
        const auto sent = socket_.send(std::span(next.bytes).subspan(next.sent_bytes), {}, descriptors);
        if (!sent) return std::unexpected(to_channel_error(sent.error()));
        if (*sent == 0) return {};
        next.descriptors.clear();
        next.sent_bytes += *sent;
        backlog_bytes_ -= *sent;
        if (next.sent_bytes == next.bytes.size()) waiting_.pop_front();
    }
    return {};
}

} // namespace touka::devices::passthrough
