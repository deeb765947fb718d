#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "scsi/device_server/device_server.hpp"

namespace touka::scsi {

/// One log parameter. (SPC-5 §7.3.2.2)
struct LogParameter {
    std::uint16_t code;
    std::uint8_t control; ///< byte 2: FORMAT AND LINKING and others
    std::vector<std::uint8_t> value;
};

/// LOG SENSE, and LOG SELECT that resets counters. (SPC-5 §6.8, §6.9)
class LogPages {
public:
    using Parameters = std::function<std::vector<LogParameter>()>;
    /// Adds the commands and the pages of supported pages and subpages. @param server outlives this.
    explicit LogPages(DeviceServer& server);
    /// @param parameters ascending by code.  @param reset sets the page's counters to zero; empty: it has none.
    void add_page(std::uint8_t page, std::uint8_t subpage, Parameters parameters, std::function<void()> reset = {});

private:
    struct Entry {
        Parameters parameters;
        std::function<void()> reset;
    };
    void sense(Task& task);
    void select(Task& task);
    [[nodiscard]] std::vector<std::uint8_t> supported(bool subpages) const;

    DeviceServer& server_;
    std::map<std::pair<std::uint8_t, std::uint8_t>, Entry> pages_;
};

} // namespace touka::scsi
