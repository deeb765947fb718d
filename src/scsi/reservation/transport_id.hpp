// TransportIDs: initiator ports' names inside parameter data. (SPC-5 §7.6.4)
// Absent: parallel SCSI, IEEE 1394, RDMA, PCI Express and SOP; no port of ours speaks those.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "scsi/nexus.hpp"

namespace touka::scsi {

struct TransportId {
    InitiatorPort port;
    /// An iSCSI name without ISID: all ports of the initiator device that are known. (SPC-5 §7.6.4.6)
    bool whole_device = false;
    /// What it occupies, padding included: a multiple of 4.
    std::size_t length_bytes = 0;
};

/// Reads the TransportID that `bytes` begins with.
/// @return nothing when it is cut off, of an unknown format, has a wrong length, a name that no port can have, or
///         something behind the name.
[[nodiscard]] std::optional<TransportId> decode_transport_id(std::span<const std::uint8_t> bytes);

/// iSCSI: format 01b when the name has an ISID, else 00b. Fibre Channel and SAS: 24 bytes; a name that is not 16
/// hexadecimal digits reads zero. Ports without a protocol (ProtocolIdentifier::kNone) have what iSCSI has in format
/// 00b with protocol identifier Fh, so that REGISTER AND MOVE can name them, too.
[[nodiscard]] std::vector<std::uint8_t> encode_transport_id(const InitiatorPort& port);

/// The iSCSI name of an initiator port's name: what is before ",i,0x".
[[nodiscard]] std::string_view iscsi_device_name(std::string_view port_name);

} // namespace touka::scsi
