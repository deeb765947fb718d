// A guest's console on the terminal, pipe or file that the program was started with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/byte_stream.hpp"
#include "runtime/guarded.hpp"
#include "runtime/nonblocking_output.hpp"
#include "runtime/notification.hpp"
#include "runtime/raw_terminal.hpp"
#include "runtime/reactor.hpp"

namespace touka::runtime {

/// Standard input and output as a guest's console. Writers never wait: bytes are kept and written on the reactor.
/// - A terminal is put into raw mode and always read, so that the escape key works with a guest that hangs;
///   keys that the guest does not take are dropped once kKeptKeysBytes wait.
/// - A pipe, socket or file is read only as fast as the guest takes it, byte for byte, without an escape key.
/// - The end of input, a closed descriptor or a reader that went away ends that direction alone.
/// Lives on one reactor, which must outlive it; construct and destroy it on another thread than that one's.
class StdioStream final : public ByteStream {
public:
    struct Options {
        int input_fd = 0; ///< both stay the caller's
        int output_fd = 1;
        std::byte escape_key{0x1D}; ///< Ctrl-]
        /// Called on the reactor when the escape key is pressed; the guest does not see that key.
        std::function<void()> on_escape;
        /// Output that waits for a slow terminal; what comes beyond is dropped, as a serial line would.
        std::size_t backlog_bytes = std::size_t{4} << 20;
        /// How long the destructor waits for the terminal to take what is left.
        std::uint32_t drain_ms = 500;
    };

    StdioStream(Reactor& reactor, Options options);
    /// Writes what is left and restores the terminal.
    ~StdioStream() override;

    void write(std::span<const std::byte> bytes) override;
    void set_receiver(std::function<std::size_t(std::span<const std::byte>)> on_input) override;
    void resume_input() override;

    /// Is the input a terminal in raw mode (so that telling about the escape key makes sense)?
    [[nodiscard]] bool interactive() const { return terminal_.active(); }
    /// Bytes of output that were thrown away because of a full backlog. Any thread.
    [[nodiscard]] std::uint64_t dropped_bytes();

private:
    static constexpr std::size_t kKeptKeysBytes = 4096;
    struct Outgoing {
        std::vector<std::byte> bytes;
        bool wake_pending = false;
        std::uint64_t dropped_bytes = 0;
    };

    // All below run on the reactor.
    void on_wake();
    void flush();
    void drain();
    void on_input_ready();
    void take_keys(std::span<const std::byte> bytes);
    void offer_input();
    void listen();

    Reactor& reactor_;
    Options options_;
    RawTerminal terminal_;
    NonblockingOutput output_;
    bool input_pollable_;
    bool input_open_;
    Notification wake_;
    Guarded<Outgoing> outgoing_; // taken alone, no other lock inside

    std::vector<std::byte> sending_; // taken from outgoing_; bytes before sent_bytes_ are written
    std::size_t sent_bytes_ = 0;
    bool output_gone_ = false;
    std::vector<std::byte> input_; // read and not taken by the guest yet
    std::function<std::size_t(std::span<const std::byte>)> on_input_;
    // Made and destroyed as needed: a muted watch still reports hang-ups, again and again.
    std::unique_ptr<Reactor::Watch> input_watch_, output_watch_, wake_watch_;
};

} // namespace touka::runtime
