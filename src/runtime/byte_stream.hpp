#pragma once

#include <cstddef>
#include <functional>
#include <span>

namespace touka::runtime {

/// The host's end of a guest's console: bytes out to a terminal, socket or file, bytes in to the guest.
class ByteStream {
public:
    virtual ~ByteStream() = default;
    /// Takes all bytes, in order; buffers what the other side cannot take yet. Any thread.
    virtual void write(std::span<const std::byte> bytes) = 0;
    /// @param on_input called on the stream's reactor with bytes for the guest; returns how many of them the
    /// guest's device took. The rest is offered again after `resume_input`.
    virtual void set_receiver(std::function<std::size_t(std::span<const std::byte>)> on_input) = 0;
    /// The device has room again. Any thread.
    virtual void resume_input() = 0;
};

} // namespace touka::runtime
