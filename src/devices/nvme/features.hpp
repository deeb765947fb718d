#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "devices/nvme/reservations.hpp"

namespace touka::devices::nvme {

/// What Set Features changed; the values after a reset otherwise. (NVM Express Base 2.0 §5.27.1)
struct Features {
    static constexpr std::uint16_t kWarningTemperature = 343, kCriticalTemperature = 353; ///< in K

    std::uint32_t arbitration = 3; ///< AB 3: bursts of 8
    std::uint32_t power_management = 0;
    std::uint16_t over_temperature = kWarningTemperature, under_temperature = 0;
    std::uint32_t error_recovery = 0;
    std::uint32_t write_atomicity = 0;
    std::uint32_t async_events = 0;
    bool write_cache = true;
    std::uint32_t queues = 0;                                   ///< what was granted: NSQA and NCQA
    std::uint8_t coalescing_threshold = 0, coalescing_time = 0; ///< less one; in 100 us
    std::vector<std::uint16_t> uncoalesced;                     ///< vectors with CD set
    std::uint64_t timestamp_ms = 0, timestamp_set_ns = 0;       ///< the clock said the second when it was the first
    bool timestamp_set = false;
    std::array<std::uint8_t, 512> host_behavior{};
    bool extended_host_id = false;
    std::array<std::uint8_t, 16> host_id{};
    std::uint8_t software_progress = 0;
    std::vector<std::uint8_t> reservation_masks; ///< by nsid - 1; shorter: zeros

    void describe(auto& archive) {
        archive(arbitration, power_management, over_temperature, under_temperature, error_recovery, write_atomicity,
                async_events, write_cache, queues, coalescing_threshold, coalescing_time, uncoalesced, timestamp_ms,
                timestamp_set_ns, timestamp_set, host_behavior, extended_host_id, host_id, software_progress,
                reservation_masks);
    }
};

} // namespace touka::devices::nvme
