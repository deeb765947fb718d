#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "runtime/unique_fd.hpp"
#include "scsi/verify/command_sender.hpp"

namespace touka::scsi::verify {

/// Commands by SG_IO to a device of this host. (Linux: include/scsi/sg.h)
class SgSender final : public CommandSender {
public:
    static constexpr std::uint32_t kTimeoutMs = 60'000;

    /// @param path "/dev/sg3", "/dev/sda"; a block device must not be in use: a corpus overwrites it.
    [[nodiscard]] static std::expected<std::unique_ptr<SgSender>, std::string> open(const std::string& path);

    [[nodiscard]] RawResponse send(const Command& command) override;
    [[nodiscard]] bool tells_overflow() const override { return false; }

private:
    explicit SgSender(runtime::UniqueFd fd) : fd_(std::move(fd)) {}
    runtime::UniqueFd fd_;
};

} // namespace touka::scsi::verify
