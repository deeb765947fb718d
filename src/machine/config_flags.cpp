#include "machine/config_flags.hpp"

#include <array>

#include "machine/flag_options.hpp"

namespace touka::machine {

ValueOr<DiskConfig> parse_disk_flag(std::string_view text) {
    static constexpr std::array<std::string_view, 3> kOptions{"ro", "direct", "serial"};
    const auto parts = split_flag(text);
    DiskConfig disk{.path = parts.front(), .serial = {}};
    if (disk.path.empty()) return std::unexpected("--disk: the path is missing");
    for (const auto& part : std::span(parts).subspan(1)) {
        const auto [key, value, has_value] = split_option(part);
        if (key == "ro" && !has_value) {
            disk.read_only = true;
        } else if (key == "direct" && !has_value) {
            disk.direct = true;
        } else if (key == "serial" && has_value) {
            disk.serial = value;
        } else {
            return unknown_option("--disk", part, kOptions);
        }
    }
    return disk;
}

ValueOr<std::optional<NetworkConfig>> parse_network_flag(std::string_view text) {
    static constexpr std::array<std::string_view, 3> kKinds{"user", "tap=NAME", "none"};
    static constexpr std::array<std::string_view, 3> kOptions{"forward", "restricted", "mac"};
    if (text == "none") return std::nullopt;
    const auto parts = split_flag(text);
    NetworkConfig network;
    const auto [kind, kind_value, kind_has_value] = split_option(parts.front());
    if (kind == "tap" && kind_has_value && !kind_value.empty()) {
        network.backend = TapNetwork{std::string(kind_value)};
    } else if (kind == "tap") {
        return std::unexpected("--net: the tap's name is missing: write --net tap=NAME");
    } else if (kind != "user" || kind_has_value) {
        return unknown_option("--net", parts.front(), kKinds);
    }
    auto* user = std::get_if<UserNetwork>(&network.backend);
    for (const auto& part : std::span(parts).subspan(1)) {
        const auto [key, value, has_value] = split_option(part);
        if (key == "mac" && has_value) {
            auto mac = parse_mac(value);
            if (!mac) return std::unexpected("--net: " + mac.error());
            network.mac = *std::move(mac);
        } else if (user != nullptr && key == "forward" && has_value) {
            user->forwards.emplace_back(value);
        } else if (user != nullptr && key == "restricted" && !has_value) {
            user->restricted = true;
        } else {
            return unknown_option("--net", part, kOptions);
        }
    }
    return network;
}

} // namespace touka::machine
