#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace touka::usernet {

/// The helper's end of the socket to the virtual machine monitor: one message, one frame.
class GuestSocket {
public:
    /// @param fd stays the caller's.
    explicit GuestSocket(int fd);

    [[nodiscard]] int fd() const { return fd_; }
    /// The first message: that the network serves, or why it does not.
    void report_ready();
    void report_refusal(std::string_view text);
    /// Takes a batch of messages. @return false when the monitor is gone.
    bool receive(const std::function<void(std::span<std::byte>)>& on_message);
    /// Waits a moment for a guest that is busy, then drops the message as a full switch would.
    void send(std::span<const std::byte> message);

private:
    static constexpr std::size_t kBatch = 32;
    static constexpr int kPatienceMs = 100;

    int fd_;
    std::vector<std::byte> buffers_;
    std::array<iovec, kBatch> vectors_{};
    std::array<mmsghdr, kBatch> messages_{};
};

} // namespace touka::usernet
