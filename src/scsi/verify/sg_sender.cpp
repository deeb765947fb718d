#include "scsi/verify/sg_sender.hpp"

#include <fcntl.h>
#include <scsi/sg.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace touka::scsi::verify {

namespace {

constexpr int kFirstVersion3 = 30'000;

/// (Linux: enum scsi_host_status) What the kernel read out of the status and the sense data is no failure.
Delivery delivery_of(const sg_io_hdr& header) {
    constexpr unsigned kTimeOut = 0x03, kFirstReading = 0x10, kLastReading = 0x13;
    if (header.host_status == kTimeOut) return Delivery::kTimeout;
    const bool reading = header.host_status >= kFirstReading && header.host_status <= kLastReading;
    if (header.host_status != 0 && !(reading && header.status != 0)) return Delivery::kFailed;
    return Delivery::kComplete;
}

} // namespace

std::expected<std::unique_ptr<SgSender>, std::string> SgSender::open(const std::string& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) < 0) return std::unexpected(path + ": " + std::strerror(errno));
    const int exclusive = S_ISBLK(status.st_mode) ? O_EXCL : 0; // not one that is mounted
    runtime::UniqueFd fd(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | exclusive));
    if (!fd) return std::unexpected(path + ": " + std::strerror(errno));
    int version = 0;
    if (::ioctl(fd.get(), SG_GET_VERSION_NUM, &version) < 0 || version < kFirstVersion3) {
        return std::unexpected(path + ": not a SCSI device");
    }
    return std::unique_ptr<SgSender>(new SgSender(std::move(fd)));
}

RawResponse SgSender::send(const Command& command) {
    std::array<std::uint8_t, Recording::kSenseLimitBytes> sense{};
    std::vector<std::uint8_t> cdb = command.cdb;
    std::vector<std::uint8_t> buffer = command.out;
    if (command.in_bytes > 0) buffer.assign(command.in_bytes, 0);

    sg_io_hdr header{};
    header.interface_id = 'S';
    header.dxfer_direction = command.in_bytes > 0   ? SG_DXFER_FROM_DEV
                             : !command.out.empty() ? SG_DXFER_TO_DEV
                                                    : SG_DXFER_NONE;
    header.cmdp = cdb.data();
    header.cmd_len = static_cast<unsigned char>(cdb.size());
    header.sbp = sense.data();
    header.mx_sb_len = static_cast<unsigned char>(sense.size());
    header.dxferp = buffer.data();
    header.dxfer_len = static_cast<unsigned>(buffer.size());
    header.timeout = kTimeoutMs;
    if (::ioctl(fd_.get(), SG_IO, &header) < 0) return {.delivery = Delivery::kRefused};

    RawResponse response{.delivery = delivery_of(header), .status = header.status, .residual = header.resid};
    response.sense.assign(sense.begin(), sense.begin() + std::min<std::size_t>(header.sb_len_wr, sense.size()));
    if (command.in_bytes > 0) {
        const auto missing = static_cast<std::size_t>(std::clamp<std::int64_t>(header.resid, 0, command.in_bytes));
        buffer.resize(buffer.size() - missing);
        response.data = std::move(buffer);
    }
    return response;
}

} // namespace touka::scsi::verify
