// The kernel's SCSI generic interface, version 3. (Linux: include/scsi/sg.h, drivers/scsi/sg.c)
#pragma once

#include <scsi/sg.h>

#include <expected>
#include <memory>
#include <string>

namespace touka::scsi {

/// The system calls of one device. Results are 0 or an errno value.
class SgDevice {
public:
    virtual ~SgDevice() = default;
    /// Whether commands can be begun and taken back (/dev/sgN); others are executed one a thread (/dev/sdX).
    [[nodiscard]] virtual bool asynchronous() const = 0;
    /// Readable when `take` has something.
    [[nodiscard]] virtual int fd() const = 0;
    /// Hands a command to the kernel; what the header points to stays until it came back. Data for the device are
    /// copied before this returns.
    [[nodiscard]] virtual int begin(sg_io_hdr& header) = 0;
    /// A command that is over, by its usr_ptr; EAGAIN when there is none.
    [[nodiscard]] virtual int take(sg_io_hdr& header) = 0;
    /// A command from begin to end. Any thread, several at once.
    [[nodiscard]] virtual int execute(sg_io_hdr& header) = 0;
    /// Resets the logical unit, and nothing beyond it. Any thread; may take long.
    [[nodiscard]] virtual int reset_unit() = 0;
};

/// @param path "/dev/sg3", or a block device's. @return what is wrong with it.
[[nodiscard]] std::expected<std::unique_ptr<SgDevice>, std::string> open_sg_device(const std::string& path);

} // namespace touka::scsi
