// A unix socket over which two processes exchange bytes and descriptors, without ever waiting. (unix(7), SCM_RIGHTS)
#pragma once

#include <cstddef>
#include <expected>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/unique_fd.hpp"

namespace touka::runtime {

enum class SocketError {
    kClosed,             ///< by the peer, or broken
    kTooManyDescriptors, ///< more than the caller allows: what the peer sends next cannot be told apart
};

/// One end of a connected SOCK_STREAM socket. Not synchronised.
class DescriptorSocket {
public:
    /// What one call carries at most, either way.
    static constexpr std::size_t kDescriptorLimit = 128;

    explicit DescriptorSocket(UniqueFd socket);
    /// Connects to whoever listens at `path`.  @return what is wrong, in words.
    [[nodiscard]] static std::expected<DescriptorSocket, std::string> dial(const std::string& path);
    /// Two ends of one connection.
    [[nodiscard]] static std::pair<UniqueFd, UniqueFd> pair();

    [[nodiscard]] int fd() const { return socket_.get(); }
    [[nodiscard]] UniqueFd release() && { return std::move(socket_); }

    /// Reads until `to` is full or nothing more is there; `have` counts what is in it already.
    /// @param descriptors gets those that came with these bytes; with more than `descriptor_limit` in it, an error.
    /// @return whether `to` is full.
    [[nodiscard]] std::expected<bool, SocketError>
    fill(std::span<std::byte> to, std::size_t& have, std::vector<UniqueFd>& descriptors, std::size_t descriptor_limit);
    /// Sends what the socket's buffer takes of `first` and then `second`, the descriptors with the first byte.
    /// @param descriptors stay the caller's.  @return bytes sent, 0 when there is no room now.
    [[nodiscard]] std::expected<std::size_t, SocketError> send(std::span<const std::byte> first,
                                                               std::span<const std::byte> second = {},
                                                               std::span<const int> descriptors = {});

private:
    UniqueFd socket_;
};

} // namespace touka::runtime
