#pragma once

#include <bitset>
#include <string>
#include <string_view>

#include "scsi/iscsi/parameters.hpp"
#include "scsi/iscsi/text_keys.hpp"

namespace touka::scsi::iscsi {

enum class KeyOutcome : std::uint8_t {
    kTaken,
    kProtocolError, ///< the same key twice, or a declaration that makes no sense: the login fails
};

/// Is it a key of the login phase?
[[nodiscard]] bool is_login_key(std::string_view key);

/// Negotiates all keys but those of security. The initiator offers, we answer, both know the outcome.
/// (RFC 7143 §6.2, §13; iSCSIProtocolLevel: §13.26, RFC 7144)
class Negotiation {
public:
    explicit Negotiation(const ParameterLimits& limits);

    /// Takes one key of a Login Request. @param reply our answer is added, where the key has one.
    [[nodiscard]] KeyOutcome take(const KeyValue& pair, std::string& reply);
    /// What we declare by ourselves, once.
    void declare(std::string& reply);

    [[nodiscard]] const SessionParameters& parameters() const { return parameters_; }

private:
    ParameterLimits limits_;
    SessionParameters parameters_;
    std::bitset<64> seen_;
    bool declared_ = false;
};

} // namespace touka::scsi::iscsi
