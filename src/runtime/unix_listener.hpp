#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "runtime/reactor.hpp"
#include "runtime/unique_fd.hpp"

namespace touka::runtime {

/// A listening unix socket in the file system, removed with this object. The file's mode and folder say who may
/// connect. On the reactor, its destructor too.
class UnixListener {
public:
    using OnConnection = std::function<void(UniqueFd)>;
    /// Replaces a socket that an earlier process left at `path`, if it has ended.
    /// @param on_connection called on the reactor with each peer.  @return what is wrong with the path.
    [[nodiscard]] static std::expected<std::unique_ptr<UnixListener>, std::string>
    listen(Reactor& reactor, const std::string& path, OnConnection on_connection);
    ~UnixListener();
    UnixListener(const UnixListener&) = delete;
    UnixListener& operator=(const UnixListener&) = delete;

private:
    UnixListener(Reactor& reactor, UniqueFd socket, std::string path, OnConnection on_connection);

    UniqueFd socket_;
    std::string path_;
    OnConnection on_connection_;
    std::unique_ptr<Reactor::Watch> watch_;
};

} // namespace touka::runtime
