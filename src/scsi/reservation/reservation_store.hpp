#pragma once

#include <expected>
#include <string>

#include "scsi/reservation/reservation_journal.hpp"

namespace touka::scsi {

/// Keeps the reservations of one unit in one file, which is replaced as a whole: a process that is killed, or a host
/// that loses power, leaves the old file or the new one. Blocks until the file system has it.
class ReservationStore final : public ReservationJournal {
public:
    /// @param path of the file, in a folder that exists; `path`.new beside it is overwritten.
    explicit ReservationStore(std::string path) : path_(std::move(path)) {}

    /// What was saved last; an empty state when nothing ever was. What is found damaged is never taken for nothing.
    [[nodiscard]] std::expected<PersistentReservationsState, StoreError> load() const;
    [[nodiscard]] std::expected<void, StoreError> save(const PersistentReservationsState& state) override;

private:
    std::string path_;
};

} // namespace touka::scsi
