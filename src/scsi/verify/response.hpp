// How a command ended, as far as two ways to the same unit can be compared.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "scsi/verify/corpus.hpp"
#include "scsi/verify/sha256.hpp"

namespace touka::scsi::verify {

enum class Delivery : std::uint8_t {
    kComplete, ///< there is a status
    kFailed,   ///< the transport lost the command, or the target
    kTimeout,
    kRefused, ///< what is between us and the unit did not take the command
};

/// What a sender saw.
struct RawResponse {
    Delivery delivery = Delivery::kComplete;
    std::uint8_t status = 0;
    std::vector<std::uint8_t> sense{};
    /// Bytes of the buffer that were not moved; negative: so many more than the buffer holds were there to move.
    /// (SAM-6 §5.4.3)
    std::int64_t residual = 0;
    std::vector<std::uint8_t> data{};
};

/// Data that were received: all of them when they are few, otherwise their beginning and a hash of all.
struct ReceivedData {
    static constexpr std::size_t kShownBytes = 1024;

    std::uint64_t length_bytes = 0;
    std::vector<std::uint8_t> first{}; ///< min(length_bytes, kShownBytes)
    Sha256 hash{};                     ///< zeros when `first` is all

    [[nodiscard]] bool complete() const { return length_bytes == first.size(); }
    bool operator==(const ReceivedData&) const = default;
};

struct Response {
    Delivery delivery = Delivery::kComplete;
    std::uint8_t status = 0;
    std::vector<std::uint8_t> sense{};
    std::int64_t residual = 0;
    ReceivedData data{};
    bool operator==(const Response&) const = default;
};

/// What is recorded of a response: ignored bytes are zero and ignored parts empty, ignored designators as if they had
/// never been there, sense data have the length they
/// say, and only a response that came has parts.
[[nodiscard]] Response record(const Command& command, RawResponse raw);

} // namespace touka::scsi::verify
