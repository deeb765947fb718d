// Memory of a client that gave no file for it: asked for, piece by piece. (vfio-user Protocol, "VFIO_USER_DMA_READ",
// "VFIO_USER_DMA_WRITE")
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>

#include "devices/passthrough/vfio_user/mapped_dma_space.hpp"
#include "devices/passthrough/vfio_user/message_channel.hpp"
#include "devices/passthrough/vfio_user/reply_waiters.hpp"

namespace touka::devices::passthrough {

/// How commands of the server reach the client and replies come back: over the connection, or a socket of their own.
class ServerCommands {
public:
    virtual ~ServerCommands() = default;
    /// Sends and waits for the reply, at most until the time is over. Any thread.
    [[nodiscard]] virtual std::optional<Message> call(Command command, std::span<const std::byte> payload,
                                                      std::chrono::milliseconds limit) = 0;
    /// Sends what needs no reply, without waiting, where that disturbs nothing; otherwise not at all. Any thread.
    virtual void tell(Command, std::span<const std::byte>) {}
    /// Calls fail from now on, also those that wait.
    virtual void close() = 0;
};

/// A socket where nothing but the server's commands and their replies goes, one at a time. ("twin_socket") Whoever
/// calls does the reading; no reactor is involved.
class TwinSocket final : public ServerCommands {
public:
    explicit TwinSocket(runtime::UniqueFd socket) : channel_(std::move(socket)) {}
    [[nodiscard]] std::optional<Message> call(Command command, std::span<const std::byte> payload,
                                              std::chrono::milliseconds limit) override;
    void tell(Command command, std::span<const std::byte> payload) override;
    void close() override;

private:
    std::mutex mutex_; // one call at a time
    MessageChannel channel_;
    std::uint16_t last_id_ = 0;
};

class ClientMemory final : public RemoteMemory {
public:
    /// @param transfer_bytes most of one message, >= 1.
    ClientMemory(std::shared_ptr<ServerCommands> commands, std::size_t transfer_bytes, std::chrono::milliseconds limit)
        : commands_(std::move(commands)), transfer_bytes_(transfer_bytes), limit_(limit) {}
    [[nodiscard]] bool read(memory::Iova address, std::span<std::byte> to) override;
    [[nodiscard]] bool write(memory::Iova address, std::span<const std::byte> from) override;
    void blocked(memory::Iova address, memory::DmaAccess access) override;

private:
    std::shared_ptr<ServerCommands> commands_; // the connection's too, which closes it
    std::size_t transfer_bytes_;
    std::chrono::milliseconds limit_;
};

} // namespace touka::devices::passthrough
