#pragma once

#include <string>
#include <string_view>

#include "machine/config.hpp"
#include "machine/config_values.hpp"

namespace touka::machine {

inline constexpr std::uint32_t kVirtualFunctionLimit = 64;

/// @param text nvme:PATH[,vfs=N][,serial=S][,ro][,direct], vfio-user:SOCKET[,ats=on][,rom=FILE] or
///   vfio:DOMAIN:BUS:DEVICE.FUNCTION[,iommufd=on|off|auto][,rom=FILE].
[[nodiscard]] ValueOr<CardConfig> parse_card_flag(std::string_view text);

/// The opposite: text that parse_card_flag takes; nothing in a slot: empty text.
[[nodiscard]] std::string card_flag(const CardConfig& card);

/// @param text "0000:03:00.1", or without the domain, which is 0000 then.  @return with the domain, as sysfs names it.
[[nodiscard]] ValueOr<std::string> parse_host_address(std::string_view text);

} // namespace touka::machine
