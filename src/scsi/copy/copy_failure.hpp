#pragma once

#include <cstdint>
#include <optional>

#include "scsi/sense.hpp"
#include "spec/scsi/status.hpp"
#include "spec/scsi/third_party_copy.hpp"

namespace touka::scsi {

/// Why a segment could not be copied.
struct CopyFailure {
    SenseCode code = SenseCode::kThirdPartyDeviceFailure;
    /// Whose answer follows; kUnknown: the copy manager itself found the error.
    spec::scsi::ForwardedSenseSource from = spec::scsi::ForwardedSenseSource::kUnknown;
    spec::scsi::Status status = spec::scsi::Status::kCheckCondition; ///< of source or destination
    std::optional<Sense> sense{};                                    ///< of source or destination
};

/// COPY ABORTED: the segment's number, and what source or destination answered, in the format asked for.
/// (SPC-4 §5.16.7.4)
[[nodiscard]] SenseData copy_aborted(const CopyFailure& failure, std::uint16_t segment, SenseFormat format);

} // namespace touka::scsi
