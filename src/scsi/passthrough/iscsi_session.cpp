#include "scsi/passthrough/iscsi_session.hpp"

#include <fcntl.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace touka::scsi {

namespace {

constexpr int kUnansweredPingLimit = 3;

iscsi_header_digest digest_of(IscsiHeaderDigest digest) {
    switch (digest) {
        case IscsiHeaderDigest::kNone: return ISCSI_HEADER_DIGEST_NONE;
        case IscsiHeaderDigest::kPreferNone: return ISCSI_HEADER_DIGEST_NONE_CRC32C;
        case IscsiHeaderDigest::kPreferCrc32c: return ISCSI_HEADER_DIGEST_CRC32C_NONE;
        case IscsiHeaderDigest::kCrc32c: return ISCSI_HEADER_DIGEST_CRC32C;
    }
    return ISCSI_HEADER_DIGEST_NONE_CRC32C;
}

/// The peer has closed its side, or the socket is broken.
bool is_closed(int socket) {
    char byte = 0;
    const ssize_t count = ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return count == 0 || (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

} // namespace

IscsiSession::IscsiSession(runtime::Reactor& reactor, IscsiSessionConfiguration configuration,
                           IscsiSessionEvents& events)
    : reactor_(reactor), configuration_(std::move(configuration)), events_(events),
      timer_(reactor.make_timer([this] { on_timer(); })), retry_ms_(configuration_.first_retry_ms) {}

IscsiSession::~IscsiSession() {
    wanted_ = false;
    timer_.reset();
    end_context();
}

void IscsiSession::open() {
    if (std::exchange(wanted_, true)) return;
    if (context_ == nullptr) connect(); // else one is about to go, and the next one follows it
}

void IscsiSession::close() {
    wanted_ = false;
    timer_->disarm();
    if (in_service_) return lose();
    const bool was_up = std::exchange(up_, false);
    end_context();
    if (was_up) events_.session_down();
}

void IscsiSession::drop() {
    if (!wanted_) return;
    retry_ms_ = 0;
    if (in_service_) return lose();
    go_down();
}

void IscsiSession::connect() {
    lost_ = announce_ = redirected_ = false;
    context_ = iscsi_create_context(configuration_.initiator_name.c_str());
    if (context_ == nullptr) return go_down();
    iscsi_set_noautoreconnect(context_, 1); // it would block, and send again what was in flight
    iscsi_set_isid_random(context_, configuration_.isid_random, configuration_.isid_qualifier);
    iscsi_set_targetname(context_, configuration_.target_name.c_str());
    iscsi_set_session_type(context_, ISCSI_SESSION_NORMAL);
    iscsi_set_header_digest(context_, digest_of(configuration_.header_digest));
    if (!configuration_.user.empty()) {
        iscsi_set_initiator_username_pwd(context_, configuration_.user.c_str(), configuration_.password.c_str());
    }
    if (!configuration_.target_user.empty()) {
        iscsi_set_target_username_pwd(context_, configuration_.target_user.c_str(),
                                      configuration_.target_password.c_str());
    }
    connect_to(configuration_.portal.c_str());
}

void IscsiSession::connect_to(const char* portal) {
    // Not iscsi_full_connect_async: it sends TEST UNIT READY and swallows the array's unit attentions.
    if (iscsi_connect_async(context_, portal, &on_connected, this) != 0) return go_down();
    watch_socket();
    if (watch_ == nullptr) return go_down();
    arm(configuration_.login_limit_ms);
}

void IscsiSession::on_connected(iscsi_context* context, int status, void*, void* session) {
    auto& self = *static_cast<IscsiSession*>(session);
    if (context != self.context_) return; // it is being torn down
    if (status != SCSI_STATUS_GOOD || iscsi_login_async(context, &on_logged_in, session) != 0) self.lose();
}

void IscsiSession::on_logged_in(iscsi_context* context, int status, void*, void* session) {
    auto& self = *static_cast<IscsiSession*>(session);
    if (context != self.context_) return;
    if (status == SCSI_STATUS_REDIRECT) {
        self.redirected_ = true;
    } else if (status != SCSI_STATUS_GOOD) {
        self.lose();
    } else {
        self.up_ = self.announce_ = true;
    }
}

void IscsiSession::watch_socket() {
    socket_ = runtime::UniqueFd(::fcntl(iscsi_get_fd(context_), F_DUPFD_CLOEXEC, 0));
    if (!socket_) return;
    const auto events = static_cast<std::uint32_t>(iscsi_which_events(context_)) | EPOLLRDHUP;
    watch_ = reactor_.watch(socket_.get(), events, [this](std::uint32_t ready) { on_ready(ready); });
}

void IscsiSession::on_ready(std::uint32_t epoll_events) {
    service(static_cast<int>(epoll_events & (POLLIN | POLLOUT | POLLERR | POLLHUP)));
    if (context_ == nullptr || (epoll_events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP)) == 0) return;
    if (is_closed(socket_.get())) go_down();
}

void IscsiSession::service(int events) {
    if (in_service_ || context_ == nullptr) return;
    in_service_ = true;
    const bool good = iscsi_service(context_, events) == 0;
    in_service_ = false;
    if (!good || lost_) {
        last_error_ = iscsi_get_error(context_);
        return go_down();
    }
    if (std::exchange(redirected_, false)) {
        const std::string portal = iscsi_get_target_address(context_);
        watch_.reset();
        iscsi_disconnect(context_);
        return connect_to(portal.c_str());
    }
    if (std::exchange(announce_, false)) {
        ++login_count_;
        retry_ms_ = configuration_.first_retry_ms;
        arm(configuration_.ping_interval_ms);
        events_.session_up();
    }
    if (watch_) watch_->set_events(static_cast<std::uint32_t>(iscsi_which_events(context_)) | EPOLLRDHUP);
}

void IscsiSession::flush() {
    if (!in_service_ && context_ != nullptr && up_) service(iscsi_which_events(context_) & POLLOUT);
}

bool IscsiSession::all_sent() const {
    return context_ == nullptr ||
           (iscsi_out_queue_length(context_) == 0 && (iscsi_which_events(context_) & POLLOUT) == 0);
}

void IscsiSession::on_timer() {
    if (!wanted_) return;
    if (context_ == nullptr) return connect();
    if (!up_) { // the login took too long
        last_error_ = "login timed out";
        return go_down();
    }
    if (iscsi_get_nops_in_flight(context_) >= kUnansweredPingLimit ||
        iscsi_nop_out_async(context_, nullptr, nullptr, 0, nullptr) != 0) {
        last_error_ = "target does not answer";
        return go_down();
    }
    arm(configuration_.ping_interval_ms);
    flush();
}

void IscsiSession::go_down() {
    const bool was_up = std::exchange(up_, false);
    end_context();
    if (wanted_) {
        arm(retry_ms_);
        retry_ms_ = std::clamp(retry_ms_ * 2, configuration_.first_retry_ms, configuration_.last_retry_ms);
    }
    if (was_up) events_.session_down();
}

void IscsiSession::end_context() {
    watch_.reset();
    socket_.reset();
    lost_ = false;
    if (iscsi_context* const context = std::exchange(context_, nullptr)) iscsi_destroy_context(context);
}

void IscsiSession::arm(std::uint32_t delay_ms) { timer_->arm(reactor_.now_ns() + delay_ms * std::uint64_t{1'000'000}); }

} // namespace touka::scsi
