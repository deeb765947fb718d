#include "scsi/verify/iscsi/iscsi_sender.hpp"

#include <cstddef> // which libiscsi's headers need and do not include

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "spec/scsi/byte_order.hpp"

namespace touka::scsi::verify {

struct IscsiSender::Request {
    ~Request() {
        if (task != nullptr) ::scsi_free_scsi_task(task);
    }
    scsi_task* task = nullptr;
    std::vector<std::uint8_t> buffer{};
};

IscsiSender::IscsiSender() = default;

IscsiSender::~IscsiSender() {
    if (context_ == nullptr) return;
    if (!broken_) {
        ended_ = false;
        if (::iscsi_logout_async(context_, &on_end, this) == 0) (void)wait();
    }
    ::iscsi_destroy_context(context_); // calls on_end for what has no end yet
}

std::expected<std::unique_ptr<IscsiSender>, std::string> IscsiSender::open(const std::string& url,
                                                                           const std::string& initiator_name) {
    std::unique_ptr<IscsiSender> sender(new IscsiSender());
    if (auto logged_in = sender->log_in(url, initiator_name); !logged_in) {
        sender->broken_ = true;
        return std::unexpected(std::move(logged_in.error()));
    }
    return sender;
}

std::expected<void, std::string> IscsiSender::log_in(const std::string& url, const std::string& initiator_name) {
    context_ = ::iscsi_create_context(initiator_name.c_str());
    if (context_ == nullptr) return std::unexpected("no memory for an iSCSI session");
    const auto failure = [&] { return std::unexpected(url + ": " + ::iscsi_get_error(context_)); };
    const std::unique_ptr<iscsi_url, decltype(&::iscsi_destroy_url)> parsed(
        ::iscsi_parse_full_url(context_, url.c_str()), &::iscsi_destroy_url);
    if (parsed == nullptr) return failure();
    lun_ = parsed->lun;
    ::iscsi_set_noautoreconnect(context_, 1); // it would send again what was in flight
    ::iscsi_set_session_type(context_, ISCSI_SESSION_NORMAL);
    ::iscsi_set_targetname(context_, parsed->target);
    ::iscsi_set_header_digest(context_, ISCSI_HEADER_DIGEST_NONE_CRC32C);
    // Not iscsi_full_connect: it swallows unit attentions.
    if (::iscsi_connect_async(context_, parsed->portal, &on_end, this) != 0) return failure();
    if (wait() != Delivery::kComplete || status_ != SCSI_STATUS_GOOD) return failure();
    ended_ = false;
    if (::iscsi_login_async(context_, &on_end, this) != 0) return failure();
    if (wait() != Delivery::kComplete || status_ != SCSI_STATUS_GOOD) return failure();
    return {};
}

void IscsiSender::on_end(iscsi_context*, int status, void*, void* sender) {
    static_cast<IscsiSender*>(sender)->status_ = status;
    static_cast<IscsiSender*>(sender)->ended_ = true;
}

/// Serves the connection until on_end was called.
Delivery IscsiSender::wait() {
    using Clock = std::chrono::steady_clock;
    const auto deadline = Clock::now() + std::chrono::milliseconds(kTimeoutMs);
    while (!ended_) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
        pollfd ready{
            .fd = ::iscsi_get_fd(context_), .events = static_cast<short>(::iscsi_which_events(context_)), .revents = 0};
        const int count = left > 0 ? ::poll(&ready, 1, static_cast<int>(left)) : 0;
        if (count < 0 && errno == EINTR) continue;
        if (count == 0) {
            broken_ = true;
            return Delivery::kTimeout;
        }
        if (count < 0 || ::iscsi_service(context_, ready.revents) != 0) {
            broken_ = true;
            return Delivery::kFailed;
        }
    }
    return Delivery::kComplete;
}

RawResponse IscsiSender::send(const Command& command) {
    if (broken_) return {.delivery = Delivery::kFailed};
    if (command.cdb.size() > Command::kCdbLimitBytes)
        return {.delivery = Delivery::kRefused}; // all that libiscsi holds
    request_ = std::make_unique<Request>();
    request_->buffer = command.out;
    if (command.in_bytes > 0) request_->buffer.assign(command.in_bytes, 0);
    std::vector<std::uint8_t>& buffer = request_->buffer;
    const int length = static_cast<int>(buffer.size());
    const int direction = command.in_bytes > 0 ? SCSI_XFER_READ : length > 0 ? SCSI_XFER_WRITE : SCSI_XFER_NONE;
    std::vector<std::uint8_t> cdb = command.cdb;
    request_->task = ::scsi_create_task(static_cast<int>(cdb.size()), cdb.data(), direction, length);
    if (request_->task == nullptr) return {.delivery = Delivery::kRefused};
    if (direction == SCSI_XFER_READ) ::scsi_task_add_data_in_buffer(request_->task, length, buffer.data());
    if (direction == SCSI_XFER_WRITE) ::scsi_task_add_data_out_buffer(request_->task, length, buffer.data());

    ended_ = false;
    if (::iscsi_scsi_command_async(context_, lun_, request_->task, &on_end, nullptr, this) != 0) {
        return {.delivery = Delivery::kRefused};
    }
    if (const Delivery delivery = wait(); delivery != Delivery::kComplete) return {.delivery = delivery};
    constexpr int kLastStatus = 0xFF; // beyond: libiscsi's own
    if (status_ < 0 || status_ > kLastStatus) {
        return {.delivery = status_ == SCSI_STATUS_TIMEOUT ? Delivery::kTimeout : Delivery::kFailed};
    }
    return response_of(command, *request_, status_);
}

RawResponse IscsiSender::response_of(const Command& command, const Request& request, int status) {
    const scsi_task& task = *request.task;
    RawResponse response{.status = static_cast<std::uint8_t>(status)};
    const auto residual = static_cast<std::int64_t>(std::min<std::size_t>(task.residual, 0xFFFF'FFFF));
    if (task.residual_status == SCSI_RESIDUAL_UNDERFLOW) response.residual = residual;
    if (task.residual_status == SCSI_RESIDUAL_OVERFLOW) response.residual = -residual;
    if (command.in_bytes > 0) {
        const auto missing = std::clamp<std::int64_t>(response.residual, 0, command.in_bytes);
        response.data.assign(request.buffer.begin(), request.buffer.end() - missing);
    }
    // With CHECK CONDITION the "data" are SenseLength and sense data. (RFC 7143 §11.4.7)
    if (status != SCSI_STATUS_CHECK_CONDITION || task.datain.data == nullptr || task.datain.size < 2) {
        return response;
    }
    const std::span<const std::uint8_t> segment(task.datain.data, static_cast<std::size_t>(task.datain.size));
    const std::size_t length = spec::scsi::load_number(segment.first(2));
    const auto sense =
        segment.subspan(2, std::min({length, segment.size() - 2, std::size_t{Recording::kSenseLimitBytes}}));
    response.sense.assign(sense.begin(), sense.end());
    return response;
}

} // namespace touka::scsi::verify
