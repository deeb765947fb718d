#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace touka::fabric {

/// A World Wide Port Name: 64 bits in NAA format. (FC-FS-5 §15)
struct Wwpn {
    std::uint64_t value = 0;
    auto operator<=>(const Wwpn&) const = default;
};

/// "50:01:43:80:12:34:56:78", "5001438012345678" or "naa.5001438012345678". @return nothing for anything else.
[[nodiscard]] std::optional<Wwpn> parse_wwpn(std::string_view text);
/// "50:01:43:80:12:34:56:78".
[[nodiscard]] std::string describe(Wwpn wwpn);
/// The iSCSI initiator name under which a port with this WWPN logs in, "naa.5001438012345678". (RFC 3980 §2)
[[nodiscard]] std::string iscsi_name(Wwpn wwpn);

/// What initiators are masked by: a WWPN, in whatever way it is written or used as an iSCSI name, or an iSCSI name,
/// without regard to case. @return the form in which names are compared. (RFC 3722)
[[nodiscard]] std::string comparable_name(std::string_view initiator);

} // namespace touka::fabric
