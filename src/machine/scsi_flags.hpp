#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "machine/config.hpp"
#include "machine/config_values.hpp"

namespace touka::machine {

/// A socket of a vhost-user back end.
struct VhostUserSocket {
    std::string path;
};

/// @param text lu:PATH[,block=4096][,physical=4096][,ro][,direct][,removable][,serial=S][,state=FOLDER], sg:/dev/sgN,
/// iscsi:ADDRESS:PORT,TARGET,LUN[,user=U,secret=S] or vhost-user:SOCKET; all but the last also with
/// [,allow=CODE+CODE+...], operation codes in hexadecimal.
[[nodiscard]] ValueOr<std::variant<ScsiUnitConfig, VhostUserSocket>> parse_scsi_flag(std::string_view text);

} // namespace touka::machine
