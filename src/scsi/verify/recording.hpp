// The responses to a corpus as text: a line that says what this is, one for each unit attention that was there before
// the first command, one for each command.
//
//   touka-responses 1 overflow=no
//   attention 70000600000000...
//   1 complete status=02 residual=512 sense=700005... data=0:-
//   2 complete status=00 residual=0 sense=- data=65536:A5A5...:SHA-256
//   3 timeout
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "scsi/verify/response.hpp"

namespace touka::scsi::verify {

struct Recording {
    static constexpr std::size_t kAttentionLimit = 64;
    static constexpr std::size_t kSenseLimitBytes = 252; // (SPC-5 §4.4.1)

    /// Whether the way that was taken tells of more data than the buffer holds. Linux' SG_IO does not.
    bool tells_overflow = false;
    std::vector<std::vector<std::uint8_t>> attentions{}; ///< sense data, in the order they came
    std::vector<Response> responses{};                   ///< to the corpus's commands, in their order
    bool operator==(const Recording&) const = default;
};

/// The first line, up to what follows it.
[[nodiscard]] std::string header_text(const Recording& recording);
[[nodiscard]] std::string attention_text(const std::vector<std::uint8_t>& sense);
/// @param number of the command, from 1.
[[nodiscard]] std::string response_text(std::size_t number, const Response& response);
[[nodiscard]] std::string to_text(const Recording& recording);

/// Takes what a probe printed, which a guest may have forged. @return "FILE:LINE: what" is wrong.
[[nodiscard]] std::expected<Recording, std::string> parse_recording(std::string_view text, std::string_view file_name);

[[nodiscard]] std::string_view delivery_name(Delivery delivery);

} // namespace touka::scsi::verify
