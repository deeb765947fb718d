// What `dmidecode` shows: maker, product, and an identity that follows from the machine's name.
// Absent: processors, caches, slots and memory devices.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "memory/guest_memory.hpp"

namespace touka::platform::boot {

struct SmbiosIdentity {
    std::string name;    ///< the machine's: the serial number, and what the UUID is made from
    std::string version; ///< of the program; empty: none
};

/// The same name gives the same UUID on every host and in every run. Version 8 of RFC 9562 §5.8, as SMBIOS stores it.
[[nodiscard]] std::array<std::uint8_t, 16> make_uuid(const std::string& name);

/// Writes entry point and structures into kSmbiosArea (memory_map.hpp). To be repeated when the machine is reset.
/// @return false when the area is not RAM or the strings are too long for it.
[[nodiscard]] bool write_smbios(const memory::GuestMemory& memory, const SmbiosIdentity& identity);

} // namespace touka::platform::boot
