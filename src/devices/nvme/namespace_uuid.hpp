#pragma once

#include <array>
#include <cstdint>

#include "devices/nvme/namespace.hpp"
#include "devices/nvme/subsystem.hpp"

namespace touka::devices::nvme {

/// The configured one, or one made of the subsystem's name and serial number and the namespace's identifier: the same
/// in every run, with the version and variant of a custom UUID. (RFC 9562 §5.8)
[[nodiscard]] inline std::array<std::uint8_t, 16> namespace_uuid(const SubsystemConfiguration& subsystem,
                                                                 const Namespace& ns) {
    std::array<std::uint8_t, 16> uuid = ns.configuration().uuid;
    if (uuid != std::array<std::uint8_t, 16>{}) return uuid;
    const std::string text = subsystem.nqn + '\0' + subsystem.serial + '\0' + std::to_string(ns.nsid());
    for (std::uint64_t half = 0; half < 2; ++half) {
        std::uint64_t hash = 0xCBF2'9CE4'8422'2325 ^ half; // FNV-1a
        for (const char c : text) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100'0000'01B3;
        for (unsigned i = 0; i < 8; ++i) uuid[8 * half + i] = static_cast<std::uint8_t>(hash >> (8 * i));
    }
    uuid[6] = static_cast<std::uint8_t>((uuid[6] & 0x0F) | 0x80);
    uuid[8] = static_cast<std::uint8_t>((uuid[8] & 0x3F) | 0x80);
    return uuid;
}

} // namespace touka::devices::nvme
