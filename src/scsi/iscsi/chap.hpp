// CHAP: each side proves that it knows a secret. (RFC 7143 §12.1.3, RFC 1994)
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "spec/scsi/iscsi_login.hpp"

namespace touka::scsi::iscsi {

using spec::iscsi::ChapAlgorithm;

/// A name with the secret that goes with it.
struct ChapSecret {
    std::string name;
    std::string secret;
};

/// How long this algorithm's responses are. Nothing when the host's library does not have it.
[[nodiscard]] std::optional<std::size_t> chap_digest_bytes(ChapAlgorithm algorithm);
/// The response to a challenge. (RFC 1994 §4.1) Empty when the library fails.
[[nodiscard]] std::vector<std::uint8_t> chap_response(ChapAlgorithm algorithm, std::uint8_t identifier,
                                                      std::string_view secret, std::span<const std::uint8_t> challenge);

/// What the initiator sent of CHAP in one request.
struct ChapKeys {
    std::optional<std::string_view> algorithms{}; ///< CHAP_A
    std::optional<std::string_view> name{};       ///< CHAP_N
    std::optional<std::string_view> response{};   ///< CHAP_R
    std::optional<std::string_view> identifier{}; ///< CHAP_I
    std::optional<std::string_view> challenge{};  ///< CHAP_C
    [[nodiscard]] bool any() const { return algorithms || name || response || identifier || challenge; }
};

/// The target's part in one authentication.
class ChapAuthenticator {
public:
    /// Fills memory with random bytes; false when it cannot.
    using Random = bool (*)(std::span<std::uint8_t>);
    static bool system_random(std::span<std::uint8_t> bytes);

    /// @param initiator what the initiator has to prove.  @param target what we can prove, if we can.
    ChapAuthenticator(ChapSecret initiator, std::optional<ChapSecret> target, Random random = system_random)
        : initiator_(std::move(initiator)), target_(std::move(target)), random_(random) {}

    /// Takes a step. @param reply our keys are added. @return false: the initiator has failed, for good.
    [[nodiscard]] bool step(const ChapKeys& keys, std::string& reply);
    /// The initiator has proved what it had to.
    [[nodiscard]] bool done() const { return state_ == State::kDone; }

private:
    enum class State : std::uint8_t { kAlgorithm, kResponse, kDone };

    [[nodiscard]] bool challenge(std::string_view algorithms, std::string& reply);
    [[nodiscard]] bool verify(const ChapKeys& keys, std::string& reply);
    [[nodiscard]] bool prove(std::string_view identifier, std::string_view challenge, std::string& reply);

    ChapSecret initiator_;
    std::optional<ChapSecret> target_;
    Random random_;
    State state_ = State::kAlgorithm;
    ChapAlgorithm algorithm_ = ChapAlgorithm::kMd5;
    std::uint8_t identifier_ = 0;
    std::vector<std::uint8_t> challenge_;
};

} // namespace touka::scsi::iscsi
