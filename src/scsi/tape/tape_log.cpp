#include "scsi/tape/tape_log.hpp"

#include "scsi/parameter_data.hpp"

namespace touka::scsi {

using namespace spec::scsi;

TapeLog::TapeLog(DeviceServer& server) : pages_(server) {
    pages_.add_page(
        tape_log::kSequentialAccessDevice, 0, [this] { return device_page(); },
        [this] { written_bytes_ = read_bytes_ = 0; });
    pages_.add_page(tape_log::kTapeAlert, 0, [this] { return alert_page(); });
}

std::vector<LogParameter> TapeLog::device_page() const {
    // Nothing is compressed: what goes to the medium is what was received.
    const auto counter = [](std::uint16_t code, std::uint64_t value) {
        return LogParameter{code, 0, ParameterData().number(value, 8).take()};
    };
    using namespace tape_log_parameter;
    return {counter(kDataBytesReceived, written_bytes_), counter(kDataBytesWritten, written_bytes_),
            counter(kDataBytesRead, read_bytes_), counter(kDataBytesReturned, read_bytes_)};
}

/// Flags are told once. (SSC-5, "TapeAlert log page")
std::vector<LogParameter> TapeLog::alert_page() {
    std::vector<LogParameter> parameters;
    for (std::uint16_t flag = 1; flag <= kTapeAlertFlags; ++flag) {
        parameters.push_back({flag, 0, {static_cast<std::uint8_t>(alerts_.test(flag - 1u) ? 1 : 0)}});
    }
    alerts_.reset();
    return parameters;
}

void TapeLog::note(const Sense& sense) {
    if (sense.code == SenseCode::kUnrecoveredReadError) raise(tape_alert::kReadFailure);
    if (sense.code == SenseCode::kWriteError) raise(tape_alert::kWriteFailure);
    if (sense.code == SenseCode::kWriteProtected) raise(tape_alert::kWriteProtect);
}

} // namespace touka::scsi
