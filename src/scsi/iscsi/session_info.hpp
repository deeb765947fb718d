#pragma once

#include <cstdint>
#include <string>

#include "scsi/iscsi/parameters.hpp"
#include "scsi/nexus.hpp"

namespace touka::scsi::iscsi {

struct SessionCounters {
    std::uint64_t commands = 0;
    std::uint64_t data_in_bytes = 0, data_out_bytes = 0;
    std::uint64_t ready_to_transfers = 0;
    std::uint64_t digest_errors = 0;
    std::uint64_t rejects = 0;
    std::uint64_t failed_transfers = 0;   ///< commands that ended for what was wrong with their Data-Out
    std::uint64_t outside_window = 0;     ///< commands dropped for their CmdSN
    std::uint64_t refused_for_memory = 0; ///< commands answered BUSY or TASK SET FULL
};

/// A session as an operator sees it.
struct SessionInfo {
    SessionParameters parameters;
    std::uint64_t isid = 0; ///< 48 bits
    std::uint16_t tsih = 0; ///< 0 before there is a session
    std::uint16_t cid = 0;
    std::uint16_t group_tag = 0;
    RelativeTargetPort relative_port = 0;
    std::string peer_address;
    SessionCounters counters;
};

} // namespace touka::scsi::iscsi
