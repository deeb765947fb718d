#include "scsi/passthrough/sg_response.hpp"

#include <algorithm>
#include <cerrno>

namespace touka::scsi {

namespace {

// (Linux: enum scsi_host_status)
enum HostStatus : unsigned short {
    kOk = 0x00,
    kBusBusy = 0x02,
    kAbort = 0x05,
    kReset = 0x08,
    kSoftError = 0x0B,
    kImmediateRetry = 0x0C,
    kRequeue = 0x0D,
    kTargetFailure = 0x10,
    kNexusFailure = 0x11,
    kAllocationFailure = 0x12,
    kMediumError = 0x13,
};

} // namespace

void take_sg_response(Task& task, const sg_io_hdr& header, std::span<const std::uint8_t> sense) {
    task.status = static_cast<Status>(header.status);
    const auto expected = static_cast<std::uint64_t>(header.dxfer_len);
    const auto residual = static_cast<std::uint64_t>(std::max(0, header.resid));
    switch (header.host_status) {
        case kOk:
        case kTargetFailure: // the kernel's reading of some status and sense data, which are here
        case kNexusFailure:
        case kAllocationFailure:
        case kMediumError:
            if (header.host_status == kTargetFailure && header.status == 0) {
                task.delivery = Delivery::kTargetFailure;
                return;
            }
            break;
        case kAbort:
        case kReset: task.aborted = true; return;
        case kBusBusy:
        case kSoftError:
        case kImmediateRetry:
        case kRequeue: task.status = Status::kBusy; return;
        default: task.delivery = Delivery::kTransportFailure; return;
    }
    task.transfer_bytes = expected - std::min(residual, expected);
    if (header.dxfer_direction == SG_DXFER_FROM_DEV) task.data_in_bytes = task.transfer_bytes;
    task.sense = SenseData(sense.first(std::min<std::size_t>(header.sb_len_wr, sense.size())));
}

void take_sg_error(Task& task, int error) {
    switch (error) {
        case EAGAIN:
        case EBUSY:
        case EDOM: // the queue of the open file is full
        case ENOMEM: task.status = Status::kBusy; break;
        case ENODEV:
        case ENXIO:
        case EIO: task.delivery = Delivery::kTransportFailure; break;
        default: task.delivery = Delivery::kTargetFailure; break;
    }
}

} // namespace touka::scsi
