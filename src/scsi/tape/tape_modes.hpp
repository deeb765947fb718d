#pragma once

#include <cstdint>

#include "scsi/device_server/mode_pages.hpp"

namespace touka::scsi {

/// What MODE SELECT sets on a tape drive, and the pages that say what it cannot do. (SSC-5 §8.3)
/// Pages: read-write error recovery 01h, control 0Ah, data compression 0Fh (not capable), device configuration 10h,
/// medium partition 11h (one partition), informational exceptions 1Ch (TapeAlert page only).
class TapeModes final : public UnitEvents {
public:
    /// Adds the commands and pages. @param server outlives this.
    TapeModes(DeviceServer& server, std::uint8_t density_code);

    /// The drive has another medium now: what the mode parameter header and block descriptor say of it.
    void set_medium(std::uint8_t density_code, bool write_protected);

    /// BLOCK LENGTH: of fixed blocks; 0: there are none.
    [[nodiscard]] std::uint32_t block_length_bytes() const { return block_length_bytes_; }
    /// BUFFERED MODE is not 0: writes are answered before they are stable.
    [[nodiscard]] bool buffered() const { return buffered_mode_ != 0; }
    [[nodiscard]] std::uint8_t density_code() const { return density_code_; }
    /// SWP of the Control or the Device Configuration mode page.
    [[nodiscard]] bool software_write_protect() const;

    void logical_unit_reset() override;

private:
    [[nodiscard]] std::uint8_t device_specific() const;
    [[nodiscard]] std::optional<Sense> set_device_specific(std::uint8_t value);
    [[nodiscard]] std::optional<Sense> set_block_descriptor(std::span<const std::uint8_t> descriptor);

    std::uint8_t density_code_;
    bool write_protected_ = false;
    std::uint32_t block_length_bytes_ = 0;
    std::uint8_t buffered_mode_ = 1;
    ModePages pages_;
};

} // namespace touka::scsi
