// The login phase of one connection, as a function of what the initiator sends. (RFC 7143 §6.3, §11.12, §11.13)
// Absent: Kerberos and SRP; connections added to a session (MaxConnections is 1), redirection.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "scsi/iscsi/access.hpp"
#include "scsi/iscsi/negotiation.hpp"
#include "scsi/iscsi/pdu.hpp"

namespace touka::scsi::iscsi {

using spec::iscsi::LoginStatus;
using spec::iscsi::Stage;

/// What a login has to look up.
class LoginDirectory {
public:
    virtual ~LoginDirectory() = default;
    [[nodiscard]] virtual TargetNodeRef find_target(std::string_view name) const = 0;
    [[nodiscard]] virtual AccessPolicy& policy() const = 0;
    [[nodiscard]] virtual bool session_exists(std::uint16_t tsih) const = 0;
};

/// One answer to a Login Request.
struct LoginStep {
    LoginStatus status = LoginStatus::kSuccess; ///< other: the connection ends once this is sent
    /// Flags, versions, ISID, task tag and status are set; sequence numbers and TSIH are not.
    BasicHeader response;
    std::string text;
    bool finished = false; ///< the full feature phase begins
};

class LoginPhase {
public:
    LoginPhase(const LoginDirectory& directory, PortalId portal, const ParameterLimits& limits)
        : directory_(directory), portal_(portal), negotiation_(limits) {}

    [[nodiscard]] LoginStep take(const BasicHeader& request, std::string_view data);
    /// A refusal in answer to any PDU.
    [[nodiscard]] static LoginStep refuse(const BasicHeader& request, LoginStatus status);

    // Once it is finished:
    [[nodiscard]] const SessionParameters& parameters() const { return negotiation_.parameters(); }
    [[nodiscard]] std::uint64_t isid() const { return isid_; }
    [[nodiscard]] std::uint16_t cid() const { return cid_; }
    [[nodiscard]] const TargetNodeRef& node() const { return node_; } ///< null for a discovery session

private:
    static constexpr unsigned kRequestsLimit = 64;

    [[nodiscard]] LoginStatus check_header(const BasicHeader& request);
    [[nodiscard]] LoginStatus take_keys(std::string& reply);
    [[nodiscard]] LoginStatus identify(const BasicHeader& request, std::string& reply);
    [[nodiscard]] LoginStatus authenticate(bool transit, std::string& reply);
    [[nodiscard]] LoginStep answer(const BasicHeader& request);
    [[nodiscard]] bool may_transit() const;

    struct SecurityKeys {
        std::optional<std::string> method;
        ChapKeys chap;
        bool any = false;
    };

    const LoginDirectory& directory_;
    PortalId portal_;
    Negotiation negotiation_;
    std::optional<Stage> stage_;
    std::uint64_t isid_ = 0;
    std::uint16_t cid_ = 0;
    unsigned requests_ = 0;
    std::string text_; // of a request that comes in several PDUs
    SecurityKeys security_;
    OutgoingText outgoing_;
    bool identified_ = false, method_chosen_ = false;
    TargetNodeRef node_;
    Authentication authentication_;
    std::optional<ChapAuthenticator> chap_;
};

} // namespace touka::scsi::iscsi
