// What a target program serves: units, targets with their LUNs and who may see them, portals.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "configuration/config_error.hpp"

namespace touka::fabric {

using configuration::ConfigError;

struct DiskUnitConfig {
    std::string path;                       ///< raw file or block device
    std::uint32_t block_bytes = 512;        ///< logical block: 512 or 4096
    std::uint32_t physical_block_bytes = 0; ///< 512 or 4096; 0: the host's
    bool read_only = false;
    bool direct = false;
    bool removable = false;
    bool rotating = false;
    bool long_commands = false;        ///< commands of 32 bytes also without protection information
    std::uint32_t protection_type = 0; ///< 1 to 3: protection information in a file of the state folder
    bool operator==(const DiskUnitConfig&) const = default;
};

/// A cartridge: an image file, and what is on its label.
struct CartridgeConfig {
    std::string path;
    std::string barcode;
    std::uint64_t capacity_bytes = 400ull << 30;
    std::uint64_t early_warning_bytes = 64ull << 20; ///< before the end
    bool write_protected = false;
    std::optional<std::uint32_t> slot; ///< of a library, from 0; nothing: the first that is empty
    bool operator==(const CartridgeConfig&) const = default;
};

struct TapeUnitConfig {
    std::optional<CartridgeConfig> cartridge; ///< in the drive when the program starts; never in a library's
    bool operator==(const TapeUnitConfig&) const = default;
};

/// A tape library. Where its cartridges are is kept in the state folder.
struct ChangerUnitConfig {
    std::uint16_t slots = 0, import_export = 0;
    std::vector<std::string> drives; ///< names of tape units that stand before it
    std::vector<CartridgeConfig> cartridges;
    bool operator==(const ChangerUnitConfig&) const = default;
};

struct UnitConfig {
    std::string name;   ///< unique in the file
    std::string serial; ///< empty: derived from the name
    std::string vendor, product, revision;
    std::variant<DiskUnitConfig, TapeUnitConfig, ChangerUnitConfig> kind;
    bool operator==(const UnitConfig&) const = default;
};

struct LunConfig {
    std::uint32_t number = 0;
    std::string unit; ///< its name
    bool operator==(const LunConfig&) const = default;
};

struct ChapConfig {
    std::string user, secret;
    bool operator==(const ChapConfig&) const = default;
};

/// One initiator that a target lets in.
struct AccessConfig {
    std::string initiator;                          ///< iSCSI name, WWPN, or "*"
    std::optional<std::vector<std::uint32_t>> luns; ///< nothing: all of them
    std::optional<ChapConfig> chap;                 ///< what the initiator has to prove
    std::optional<ChapConfig> mutual_chap;          ///< what the target proves when asked
    bool operator==(const AccessConfig&) const = default;
};

struct TargetConfig {
    std::string name; ///< iSCSI name, or of a vhost-user port: any
    std::vector<LunConfig> luns;
    std::vector<AccessConfig> access; ///< empty: everybody, everything
    bool operator==(const TargetConfig&) const = default;
};

struct PortalConfig {
    std::string address; ///< "127.0.0.1:3260" or "[::1]:3260"
    std::uint16_t group = 1;
    bool operator==(const PortalConfig&) const = default;
};

/// A target's units for one virtual machine, by vhost-user.
struct VhostUserConfig {
    std::string socket;
    std::string target; ///< its name
    std::string wwpn;   ///< the initiator port's
    bool operator==(const VhostUserConfig&) const = default;
};

struct ServiceConfig {
    std::string state_folder; ///< reservations and inventories; must exist
    std::string control_socket;
    std::vector<UnitConfig> units;
    std::vector<TargetConfig> targets;
    std::vector<PortalConfig> portals;
    std::vector<VhostUserConfig> vhost_user;
};

/// Reads and checks a configuration; docs/target.md describes the keys. Relative paths start at the file's folder.
[[nodiscard]] std::expected<ServiceConfig, ConfigError> parse_service(std::string_view text, const std::string& file);
[[nodiscard]] std::expected<ServiceConfig, ConfigError> load_service(const std::string& path);

} // namespace touka::fabric
