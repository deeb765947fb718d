#include "scsi/passthrough/sg_device.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstring>

#include "runtime/unique_fd.hpp"

namespace touka::scsi {

namespace {

constexpr unsigned kGenericMajor = 21; // Documentation/admin-guide/devices.txt
constexpr int kFirstVersion3 = 30'000;
constexpr int kNoEscalation = 0x100; // SG_SCSI_RESET_NO_ESCALATE, which glibc's header lacks

class KernelSgDevice final : public SgDevice {
public:
    KernelSgDevice(runtime::UniqueFd fd, bool asynchronous) : fd_(std::move(fd)), asynchronous_(asynchronous) {}
    [[nodiscard]] bool asynchronous() const override { return asynchronous_; }
    [[nodiscard]] int fd() const override { return fd_.get(); }
    [[nodiscard]] int begin(sg_io_hdr& header) override {
        ssize_t count = 0;
        do count = ::write(fd_.get(), &header, sizeof header);
        while (count < 0 && errno == EINTR);
        return count < 0 ? errno : 0;
    }
    [[nodiscard]] int take(sg_io_hdr& header) override {
        header = {};
        header.interface_id = 'S';
        ssize_t count = 0;
        do count = ::read(fd_.get(), &header, sizeof header);
        while (count < 0 && errno == EINTR);
        return count < 0 ? errno : 0;
    }
    [[nodiscard]] int execute(sg_io_hdr& header) override { return ::ioctl(fd_.get(), SG_IO, &header) < 0 ? errno : 0; }
    [[nodiscard]] int reset_unit() override {
        int what = SG_SCSI_RESET_DEVICE | kNoEscalation;
        return ::ioctl(fd_.get(), SG_SCSI_RESET, &what) < 0 ? errno : 0;
    }

private:
    runtime::UniqueFd fd_;
    bool asynchronous_;
};

} // namespace

std::expected<std::unique_ptr<SgDevice>, std::string> open_sg_device(const std::string& path) {
    runtime::UniqueFd fd(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
    if (!fd) return std::unexpected(path + ": " + std::strerror(errno));
    int version = 0;
    if (::ioctl(fd.get(), SG_GET_VERSION_NUM, &version) < 0 || version < kFirstVersion3) {
        return std::unexpected(path + ": not a SCSI device");
    }
    struct stat status{};
    if (::fstat(fd.get(), &status) < 0) return std::unexpected(path + ": " + std::strerror(errno));
    const bool generic = S_ISCHR(status.st_mode) && major(status.st_rdev) == kGenericMajor;
    int on = 1;
    if (generic) (void)::ioctl(fd.get(), SG_SET_COMMAND_Q, &on);
    return std::make_unique<KernelSgDevice>(std::move(fd), generic);
}

} // namespace touka::scsi
