// One session with an iSCSI target, kept up: libiscsi's part that is not commands. (RFC 7143)
// Absent: several connections in a session, data digests, iSER, discovery. A portal given by name is looked up with a
// call that blocks the reactor; give its address.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "runtime/reactor.hpp"
#include "runtime/unique_fd.hpp"

struct iscsi_context; // NOLINT(readability-identifier-naming): libiscsi's

namespace touka::scsi {

enum class IscsiHeaderDigest : std::uint8_t { kNone, kPreferNone, kPreferCrc32c, kCrc32c };

struct IscsiSessionConfiguration {
    std::string portal; ///< "address:port"
    std::string target_name;
    std::string initiator_name;
    /// ISID of the format that has 24 and 16 bits of one's own choice; the same initiator name and ISID are the same
    /// nexus to the target, also after a reconnect, and end an older session of that nexus. (RFC 7143 §4.4.3.1,
    /// §11.12.5)
    std::uint32_t isid_random = 0;
    std::uint16_t isid_qualifier = 0;
    std::string user, password;               ///< CHAP, when not empty
    std::string target_user, target_password; ///< the target's proof, when not empty
    IscsiHeaderDigest header_digest = IscsiHeaderDigest::kPreferNone;

    std::uint32_t login_limit_ms = 10'000;
    std::uint32_t first_retry_ms = 100,
                  last_retry_ms = 10'000;   ///< waits between attempts: doubled from one to the other
    std::uint32_t ping_interval_ms = 5'000; ///< NOP-Out; a target that leaves three unanswered is lost
};

/// What the owner of a session hears; on its reactor, never from within a call to the session but for `close` and
/// `drop`, which end commands.
class IscsiSessionEvents {
public:
    virtual ~IscsiSessionEvents() = default;
    virtual void session_up() = 0;
    /// All commands that were in flight have been called back with SCSI_STATUS_CANCELLED before.
    virtual void session_down() = 0;
};

/// Logs in, and again whenever the session was lost, until closed. On one reactor.
class IscsiSession {
public:
    /// @param events outlives the session.
    IscsiSession(runtime::Reactor& reactor, IscsiSessionConfiguration configuration, IscsiSessionEvents& events);
    ~IscsiSession();
    IscsiSession(const IscsiSession&) = delete;
    IscsiSession& operator=(const IscsiSession&) = delete;

    /// Begins to log in, if it has not.
    void open();
    /// Ends the session and stays away. Commands in flight are called back before this returns.
    void close();
    /// Ends the session and logs in again at once: a new session of the same nexus, whose old tasks the target ends.
    void drop();

    /// For commands; null unless logged in. Never kept: it is another one after a reconnect.
    [[nodiscard]] iscsi_context* context() const { return up_ && !lost_ ? context_ : nullptr; }
    /// Sends what was queued and waits for answers.
    void flush();
    /// Whether all that was queued is on its way.
    [[nodiscard]] bool all_sent() const;
    /// For callbacks that find the session unusable: it goes down when the callback is over.
    void lose() { lost_ = true; }

    [[nodiscard]] const std::string& last_error() const { return last_error_; }
    [[nodiscard]] std::uint64_t login_count() const { return login_count_; }

private:
    void connect();
    void connect_to(const char* portal);
    void on_ready(std::uint32_t epoll_events);
    void service(int events);
    void watch_socket();
    void on_timer();
    void go_down();
    void end_context();
    void arm(std::uint32_t delay_ms);

    static void on_connected(iscsi_context*, int status, void*, void* session);
    static void on_logged_in(iscsi_context*, int status, void*, void* session);

    runtime::Reactor& reactor_;
    IscsiSessionConfiguration configuration_;
    IscsiSessionEvents& events_;
    std::unique_ptr<runtime::Timer> timer_;
    iscsi_context* context_ = nullptr;
    runtime::UniqueFd socket_; // a duplicate: libiscsi closes its own when it likes
    std::unique_ptr<runtime::Reactor::Watch> watch_;
    std::uint32_t retry_ms_;
    std::string last_error_;
    std::uint64_t login_count_ = 0;
    bool wanted_ = false; // open
    bool up_ = false;
    bool lost_ = false;
    bool announce_ = false; // up, and the owner does not know yet
    bool redirected_ = false;
    bool in_service_ = false;
};

} // namespace touka::scsi
