#pragma once

#include <cstdint>

#include "scsi/iscsi/pdu.hpp"

namespace touka::scsi::iscsi {

/// Which commands may come next. (RFC 7143 §4.2.2.1)
class CommandWindow {
public:
    enum class Verdict : std::uint8_t { kNext, kOutside, kAhead };

    /// @param depth how many commands may be there at the same time.
    explicit CommandWindow(std::uint32_t depth) : depth_(depth) {}

    void start(std::uint32_t first_cmd_sn) {
        expected_ = first_cmd_sn;
        largest_ = expected_ - 1 + depth_;
    }
    /// Takes the number of a command that is not immediate.
    [[nodiscard]] Verdict take(std::uint32_t cmd_sn) {
        if (serial_less(cmd_sn, expected_) || serial_less(largest_, cmd_sn)) return Verdict::kOutside;
        if (cmd_sn != expected_) return Verdict::kAhead;
        ++expected_;
        return Verdict::kNext;
    }
    /// A command takes a place, and gives it back when its response goes out.
    void occupy() { ++used_; }
    void vacate() { --used_; }

    [[nodiscard]] std::uint32_t expected() const { return expected_; }
    /// MaxCmdSN; what was promised once stays promised.
    [[nodiscard]] std::uint32_t largest() {
        const std::uint32_t now = expected_ - 1 + (used_ < depth_ ? depth_ - used_ : 0);
        if (serial_less(largest_, now)) largest_ = now;
        return largest_;
    }

private:
    std::uint32_t depth_;
    std::uint32_t expected_ = 1, largest_ = 1;
    std::uint32_t used_ = 0;
};

} // namespace touka::scsi::iscsi
