#pragma once

#include <bitset>
#include <cstdint>

#include "scsi/device_server/log_pages.hpp"
#include "spec/scsi/sequential_access.hpp"

namespace touka::scsi {

/// What a tape drive counts and warns of: log pages 0Ch and 2Eh. (SSC-5 §8.2)
class TapeLog {
public:
    /// Adds the commands and pages. @param server outlives this.
    explicit TapeLog(DeviceServer& server);

    void count_written(std::uint64_t bytes) { written_bytes_ += bytes; }
    void count_read(std::uint64_t bytes) { read_bytes_ += bytes; }
    /// A TapeAlert flag, until it is read or the medium goes. @param flag 1 to 64
    void raise(std::uint16_t flag) { alerts_.set(flag - 1u); }
    void clear_alerts() { alerts_.reset(); }
    /// Raises what a command's end tells.
    void note(const Sense& sense);

private:
    [[nodiscard]] std::vector<LogParameter> device_page() const;
    [[nodiscard]] std::vector<LogParameter> alert_page();

    LogPages pages_;
    std::uint64_t written_bytes_ = 0, read_bytes_ = 0;
    std::bitset<spec::scsi::kTapeAlertFlags> alerts_;
};

} // namespace touka::scsi
