// A connection of one client to a served function. (vfio-user Protocol, sections "Commands" and following)
// Absent: ioregionfd, P2P migration, mask and trigger of interrupts by VM_INTERRUPT messages.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "devices/passthrough/vfio_user/capabilities.hpp"
#include "devices/passthrough/vfio_user/client_memory.hpp"
#include "devices/passthrough/vfio_user/interrupt_table.hpp"
#include "devices/passthrough/vfio_user/message_channel.hpp"
#include "devices/passthrough/vfio_user/migration_machine.hpp"
#include "devices/passthrough/vfio_user/reply_waiters.hpp"
#include "devices/passthrough/vfio_user/served_device.hpp"
#include "runtime/reactor.hpp"

namespace touka::devices::passthrough {

/// From the connection's first byte to its end. The client is not trusted: what it asks for wrongly gets an error
/// reply, what cannot be understood ends the connection. Commands are handled in the order that they came; while one
/// waits, for the uses of memory that is taken away or for memory of the client, later ones wait too.
///
/// The reactor is the server's own: Device::pause, reset and save run there and may wait for the function's I/O, which
/// is on other threads. Everything on the reactor; memory of the client is any thread's.
class Session final : private ServerCommands {
public:
    /// @param on_closed called once, from the reactor, when the connection has ended, the function is reset and nobody
    ///   reaches the client's memory any more: destroy this object then, but not from within the call.
    Session(runtime::Reactor& reactor, runtime::UniqueFd socket, const ServedDevice& served,
            std::chrono::milliseconds memory_limit, std::function<void()> on_closed);
    ~Session() override;
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Ends the connection from this side; on_closed follows.
    void end();
    [[nodiscard]] InterruptTable& interrupts() { return interrupts_; }
    [[nodiscard]] spec::vfio::MigrationState migration_state() const { return migration_.state(); }

private:
    struct Reply {
        std::vector<std::byte> payload;
        std::vector<int> descriptors; // stay their owner's
    };
    /// Nothing: the reply comes later. Errors are errnos.
    using Answer = std::expected<std::optional<Reply>, int>;
    /// Commands that came while an earlier one waits.
    static constexpr std::size_t kPostponedLimit = 64;

    // ServerCommands, over the connection itself.
    [[nodiscard]] std::optional<Message> call(Command command, std::span<const std::byte> payload,
                                              std::chrono::milliseconds limit) override;
    void close() override { waiters_.close(); }
    void read_while_waiting(std::uint16_t id, std::chrono::steady_clock::time_point until);

    void on_ready(std::uint32_t epoll_events);
    void work();
    /// @return false when no message is there, or the connection has ended.
    [[nodiscard]] bool take_message();
    void update_watch();
    void handle(Message& message);
    void reply(const spec::vfio_user::Header& to, const std::expected<Reply, int>& answer);
    [[nodiscard]] bool send(spec::vfio_user::Header header, std::span<const std::byte> payload,
                            std::span<const int> descriptors = {});

    [[nodiscard]] Answer dispatch(Message& message);
    [[nodiscard]] Answer version(const Message& message);
    [[nodiscard]] Answer dma_map(Message& message);
    [[nodiscard]] Answer dma_unmap(const Message& message);
    [[nodiscard]] Answer invalidate_translations(const Message& message);
    /// The answer to a command that waited until memory is not used any more. Any thread.
    void answer_later(const std::weak_ptr<bool>& alive, const spec::vfio_user::Header& header,
                      std::function<Reply()> make);
    [[nodiscard]] Answer device_info(const Message& message);
    [[nodiscard]] Answer region_info(const Message& message);
    [[nodiscard]] Answer region_io_fds(const Message& message);
    [[nodiscard]] Answer irq_info(const Message& message);
    [[nodiscard]] Answer read(const Message& message);
    [[nodiscard]] Answer write(const Message& message);
    [[nodiscard]] Answer write_multiple(const Message& message);
    [[nodiscard]] Answer feature(const Message& message);
    [[nodiscard]] Answer set_feature(const Message& message);
    [[nodiscard]] Answer get_feature(const Message& message);
    [[nodiscard]] Answer start_logging(const Message& message);
    [[nodiscard]] Answer migration_read(const Message& message);
    [[nodiscard]] Answer migration_write(const Message& message);

    runtime::Reactor& reactor_;
    MessageChannel channel_; // received on the reactor; sent under send_mutex_
    std::mutex send_mutex_;  // taken alone
    ServedDevice served_;
    std::chrono::milliseconds memory_limit_;
    std::function<void()> on_closed_;
    Capabilities client_;
    bool introduced_ = false, closing_ = false, busy_ = false, failed_ = false, translates_ = false;
    bool waiting_ = false;        // for uses of memory that is taken away
    runtime::UniqueFd twin_peer_; // until the reply with it is sent
    std::shared_ptr<ServerCommands> commands_;
    ReplyWaiters waiters_;
    std::deque<Message> postponed_;
    InterruptTable interrupts_;
    MigrationMachine migration_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true); // what is posted may outlive this object
    std::unique_ptr<runtime::Reactor::Watch> watch_;
};

} // namespace touka::devices::passthrough
