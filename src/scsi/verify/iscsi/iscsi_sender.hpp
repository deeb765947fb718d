// An initiator of its own, independent of IscsiUnit: what is measured must not measure itself. (RFC 7143)
// Absent: redirection, several connections.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "scsi/verify/command_sender.hpp"

struct iscsi_context; // NOLINT(readability-identifier-naming): libiscsi's

namespace touka::scsi::verify {

/// Commands in one session, by libiscsi; each call waits.
class IscsiSender final : public CommandSender {
public:
    static constexpr int kTimeoutMs = 60'000;

    /// Logs in. @param url "iscsi://[user[%password]@]host[:port]/target/lun".
    /// @return why that is not possible.
    [[nodiscard]] static std::expected<std::unique_ptr<IscsiSender>, std::string>
    open(const std::string& url, const std::string& initiator_name);
    ~IscsiSender() override;
    IscsiSender(const IscsiSender&) = delete;
    IscsiSender& operator=(const IscsiSender&) = delete;

    [[nodiscard]] RawResponse send(const Command& command) override;
    [[nodiscard]] bool tells_overflow() const override { return true; }

private:
    struct Request;
    IscsiSender();
    [[nodiscard]] std::expected<void, std::string> log_in(const std::string& url, const std::string& initiator_name);
    [[nodiscard]] Delivery wait();
    [[nodiscard]] static RawResponse response_of(const Command& command, const Request& request, int status);
    static void on_end(iscsi_context*, int status, void*, void* sender);

    iscsi_context* context_ = nullptr;
    std::unique_ptr<Request> request_; // libiscsi refers to it until its end was told or the context is gone
    int lun_ = 0;
    int status_ = 0;
    bool ended_ = false;
    bool broken_ = false; // nothing can be sent any more
};

} // namespace touka::scsi::verify
