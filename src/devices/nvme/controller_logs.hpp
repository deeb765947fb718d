#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "devices/nvme/request.hpp"
#include "spec/nvme/log_page.hpp"

namespace touka::devices::nvme {

/// What a controller remembers and counts for its log pages. (NVM Express Base 2.0 §5.16.1)
class ControllerLogs {
public:
    static constexpr std::size_t kErrorEntries = 64, kReservationEntries = 255;

    struct Error {
        std::uint64_t count = 0;
        std::uint16_t sqid = 0, cid = 0, status = 0, parameter_location = 0;
        std::uint64_t lba = 0;
        std::uint32_t nsid = 0;
        void describe(auto& archive) { archive(count, sqid, cid, status, parameter_location, lba, nsid); }
    };
    struct ReservationEntry {
        std::uint64_t count = 0;
        std::uint8_t type = 0;
        std::uint32_t nsid = 0;
        void describe(auto& archive) { archive(count, type, nsid); }
    };
    struct Counters {
        std::uint64_t blocks_read = 0, blocks_written = 0; ///< of 512 bytes
        std::uint64_t reads = 0, writes = 0, media_errors = 0, power_cycles = 1, unsafe_shutdowns = 0;
        std::uint64_t power_on_ns = 0; ///< before this process
        void describe(auto& archive) {
            archive(blocks_read, blocks_written, reads, writes, media_errors, power_cycles, unsafe_shutdowns,
                    power_on_ns);
        }
    };

    Counters counters;

    /// @param status as in the completion, without phase.
    void add_error(const Error& error) {
        Error& place = errors_[error_count_ % kErrorEntries];
        place = error;
        place.count = ++error_count_;
    }
    [[nodiscard]] std::uint64_t error_count() const { return error_count_; }
    /// @param age 0: the newest. @return null: none that old.
    [[nodiscard]] const Error* error(std::size_t age) const {
        if (age >= kErrorEntries || age >= error_count_) return nullptr;
        return &errors_[(error_count_ - 1 - age) % kErrorEntries];
    }

    void namespace_changed(std::uint32_t nsid);
    /// Ascending, and none from now on; all of them at once are FFFFFFFFh. (§5.16.1.5)
    [[nodiscard]] std::vector<std::uint32_t> changed_namespaces(bool clear);

    /// The oldest are lost when nobody reads them; the count shows it. (§5.16.1.25)
    void add_reservation_notice(std::uint8_t type, std::uint32_t nsid);
    /// The oldest notice; the read one goes. @return an empty page when there is none.
    [[nodiscard]] spec::nvme::ReservationLog take_reservation_notice(bool keep);

    void describe(auto& archive) {
        archive(counters, errors_, error_count_, changed_, reservations_, reservation_count_);
    }

private:
    std::array<Error, kErrorEntries> errors_{};
    std::uint64_t error_count_ = 0;
    std::vector<std::uint32_t> changed_;
    std::vector<ReservationEntry> reservations_;
    std::uint64_t reservation_count_ = 0;
};

} // namespace touka::devices::nvme
