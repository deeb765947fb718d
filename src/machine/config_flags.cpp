#include "machine/config_flags.hpp"

#include <fmt/format.h>

#include <array>
#include <vector>

namespace touka::machine {
namespace {

/// Splits at single commas; two commas stand for one.
std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> parts(1);
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != ',') {
            parts.back().push_back(text[i]);
        } else if (i + 1 < text.size() && text[i + 1] == ',') {
            parts.back().push_back(',');
            ++i;
        } else {
            parts.emplace_back();
        }
    }
    return parts;
}

struct Option {
    std::string_view key;
    std::string_view value;
    bool has_value;
};
Option split_option(std::string_view text) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) return {text, {}, false};
    return {text.substr(0, equals), text.substr(equals + 1), true};
}

std::unexpected<std::string> unknown(std::string_view flag, std::string_view option,
                                     std::span<const std::string_view> known) {
    if (const auto match = closest_match(option, known); !match.empty()) {
        return std::unexpected(fmt::format("{}: unknown option \"{}\", did you mean \"{}\"?", flag, option, match));
    }
    return std::unexpected(fmt::format("{}: unknown option \"{}\"", flag, option));
}

} // namespace

ValueOr<DiskConfig> parse_disk_flag(std::string_view text) {
    static constexpr std::array<std::string_view, 3> kOptions{"ro", "direct", "serial"};
    const auto parts = split(text);
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
            return unknown("--disk", part, kOptions);
        }
    }
    return disk;
}

ValueOr<std::optional<NetworkConfig>> parse_network_flag(std::string_view text) {
    static constexpr std::array<std::string_view, 3> kKinds{"user", "tap=NAME", "none"};
    static constexpr std::array<std::string_view, 3> kOptions{"forward", "restricted", "mac"};
    if (text == "none") return std::nullopt;
    const auto parts = split(text);
    NetworkConfig network;
    const auto [kind, kind_value, kind_has_value] = split_option(parts.front());
    if (kind == "tap" && kind_has_value && !kind_value.empty()) {
        network.backend = TapNetwork{std::string(kind_value)};
    } else if (kind == "tap") {
        return std::unexpected("--net: the tap's name is missing: write --net tap=NAME");
    } else if (kind != "user" || kind_has_value) {
        return unknown("--net", parts.front(), kKinds);
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
            return unknown("--net", part, kOptions);
        }
    }
    return network;
}

} // namespace touka::machine
