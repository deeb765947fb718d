#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "spec/net/ethernet.hpp"

namespace touka::network {

using MacAddress = spec::net::MacBytes;

/// @param text six pairs of hexadecimal digits with colons, "52:54:00:12:34:56".
/// @return the address, or for the user what is wrong: not of this form, a group address, all zeros.
[[nodiscard]] std::expected<MacAddress, std::string> parse_mac(std::string_view text);
[[nodiscard]] std::string to_string(const MacAddress& address);

/// The address of a card that was given none: locally administered, the same for the same machine and place at
/// every start and on every host.
/// @param card_index place of the card in its machine, from 0.
[[nodiscard]] MacAddress derive_mac(std::string_view machine_name, std::uint32_t card_index);

} // namespace touka::network
