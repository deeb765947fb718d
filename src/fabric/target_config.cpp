#include "fabric/target_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "configuration/toml_file.hpp"
#include "configuration/toml_table.hpp"
#include "configuration/values.hpp"
#include "fabric/port_name.hpp"
#include "scsi/changer/inventory.hpp"
#include "spec/scsi/lun.hpp"

namespace touka::fabric {

using configuration::TomlTable;

namespace {

constexpr std::size_t kSerialLimit = 32, kIscsiNameLimit = 223; // RFC 7143 §4.2.7.2
constexpr std::uint32_t kPortalLimit = 64;

bool is_iscsi_name(std::string_view name) {
    const bool type = name.starts_with("iqn.") || name.starts_with("eui.") || name.starts_with("naa.");
    return type && name.size() <= kIscsiNameLimit &&
           std::ranges::all_of(name, [](char c) { return c > ' ' && c <= '~'; });
}

/// One read of one file: collects what its tables say.
class Reader {
public:
    explicit Reader(const std::string& file) : file_(file) {}

    std::expected<ServiceConfig, ConfigError> read(const toml::table& root) {
        TomlTable top(root, file_);
        config_.state_folder = top.path("state", ".");
        config_.control_socket = top.path("control", "touka-target.sock");
        const auto units = top.tables("unit"), targets = top.tables("target"), portals = top.tables("portal"),
                   vhost_user = top.tables("vhost-user");
        top.reject_unknown();
        if (top.error()) return std::unexpected(*top.error());
        for (const auto* table : units)
            each(*table, "unit", [this](TomlTable& unit, const toml::table& at) { read_unit(unit, at); });
        for (const auto* table : targets)
            each(*table, "target", [this](TomlTable& target, const toml::table& at) { read_target(target, at); });
        for (const auto* table : portals)
            each(*table, "portal", [this](TomlTable& portal, const toml::table& at) { read_portal(portal, at); });
        for (const auto* table : vhost_user)
            each(*table, "vhost-user", [this](TomlTable& port, const toml::table& at) { read_vhost_user(port, at); });
        if (error_) return std::unexpected(*std::move(error_));
        return std::move(config_);
    }

private:
    /// Reads one table, unless an earlier one was wrong.
    template <class Read>
    void each(const toml::table& table, const char* what, Read read) {
        if (error_) return;
        TomlTable reader(table, file_, what);
        read(reader, table);
        reader.reject_unknown();
        if (!error_) error_ = reader.error();
    }

    void read_unit(TomlTable& unit, const toml::table& at) {
        UnitConfig config;
        unit.require("name");
        unit.require("type");
        config.name = unit.text("name").value_or("");
        config.serial = unit.text("serial").value_or("");
        config.vendor = unit.text("vendor").value_or("");
        config.product = unit.text("product").value_or("");
        config.revision = unit.text("revision").value_or("");
        const auto type = unit.text("type").value_or("");
        if (!unit_names_.insert(config.name).second)
            unit.fail(at, fmt::format("two units have the name \"{}\"", config.name));
        const auto printable = [](char c) { return c >= ' ' && c <= '~'; };
        if (config.serial.size() > kSerialLimit || !std::ranges::all_of(config.serial, printable)) {
            unit.fail(at, fmt::format("\"{}\" is not a serial number", config.serial), "up to 32 ASCII characters");
        }
        if (type == "disk") {
            config.kind = read_disk(unit, at);
        } else if (type == "tape") {
            config.kind = read_tape(unit);
            drive_names_.insert(config.name);
        } else if (type == "changer") {
            config.kind = read_changer(unit, at);
        } else if (!type.empty()) {
            unit.fail(at, fmt::format("unknown type of unit \"{}\"", type), "known are disk, tape and changer");
        }
        config_.units.push_back(std::move(config));
    }

    DiskUnitConfig read_disk(TomlTable& unit, const toml::table& at) {
        DiskUnitConfig disk;
        unit.require("path");
        disk.path = unit.path("path");
        disk.block_bytes = unit.number("block", 512, 4096).value_or(512);
        if (disk.block_bytes != 512 && disk.block_bytes != 4096) unit.fail(at, "a block has 512 or 4096 bytes");
        disk.physical_block_bytes = unit.number("physical-block", 512, 4096).value_or(0);
        if (disk.physical_block_bytes % 512 != 0 ||
            (disk.physical_block_bytes != 0 && disk.physical_block_bytes < disk.block_bytes)) {
            unit.fail(at, "a physical block is 512 or 4096 bytes, and no smaller than a block");
        }
        disk.read_only = unit.boolean("read-only").value_or(false);
        disk.direct = unit.boolean("direct").value_or(false);
        disk.removable = unit.boolean("removable").value_or(false);
        disk.rotating = unit.boolean("rotating").value_or(false);
        disk.long_commands = unit.boolean("long-commands").value_or(false);
        disk.protection_type = unit.number("protection", 0, 3).value_or(0);
        return disk;
    }

    CartridgeConfig read_cartridge(TomlTable& table, const char* path_key) {
        CartridgeConfig cartridge;
        cartridge.path = table.path(path_key);
        cartridge.barcode = table.text("barcode").value_or("");
        cartridge.capacity_bytes = table.parsed("capacity", configuration::parse_size).value_or(400ull << 30);
        cartridge.early_warning_bytes = table.parsed("early-warning", configuration::parse_size).value_or(64ull << 20);
        cartridge.write_protected = table.boolean("write-protected").value_or(false);
        return cartridge;
    }

    TapeUnitConfig read_tape(TomlTable& unit) {
        TapeUnitConfig tape;
        CartridgeConfig cartridge = read_cartridge(unit, "cartridge");
        if (!cartridge.path.empty()) tape.cartridge = std::move(cartridge);
        return tape;
    }

    ChangerUnitConfig read_changer(TomlTable& unit, const toml::table& at) {
        using scsi::LibraryGeometry;
        ChangerUnitConfig changer;
        unit.require("slots");
        changer.slots = static_cast<std::uint16_t>(unit.number("slots", 1, LibraryGeometry::kSlotLimit).value_or(1));
        changer.import_export = static_cast<std::uint16_t>(
            unit.number("import-export", 0, LibraryGeometry::kImportExportLimit).value_or(0));
        changer.drives = unit.texts("drives");
        for (const std::string& drive : changer.drives) {
            if (!drive_names_.contains(drive)) {
                unit.fail(at, fmt::format("there is no tape drive \"{}\"", drive), "drives stand before their library");
            }
            if (!library_drives_.insert(drive).second) {
                unit.fail(at, fmt::format("drive \"{}\" is in two places of libraries", drive));
            }
        }
        for (const auto* table : unit.tables("cartridge")) {
            each(*table, "cartridge", [&](TomlTable& entry, const toml::table&) {
                for (const char* key : {"path", "barcode"}) entry.require(key);
                CartridgeConfig cartridge = read_cartridge(entry, "path");
                cartridge.slot = entry.number("slot", 0, changer.slots - 1u);
                changer.cartridges.push_back(std::move(cartridge));
            });
        }
        return changer;
    }

    void read_target(TomlTable& target, const toml::table& at) {
        TargetConfig config;
        target.require("name");
        config.name = target.text("name").value_or("");
        if (!is_iscsi_name(config.name)) {
            target.fail(at, fmt::format("\"{}\" is not a target's name", config.name),
                        "write it like iqn.2026-01.com.example:disks");
        }
        if (!target_names_.insert(config.name).second)
            target.fail(at, fmt::format("two targets have the name \"{}\"", config.name));
        const auto luns = target.tables("lun"), access = target.tables("access");
        for (const auto* table : luns)
            each(*table, "lun", [&](TomlTable& lun, const toml::table& place) { read_lun(lun, place, config); });
        for (const auto* table : access)
            each(*table, "access",
                 [&](TomlTable& entry, const toml::table& place) { read_access(entry, place, config); });
        config_.targets.push_back(std::move(config));
    }

    void read_lun(TomlTable& lun, const toml::table& at, TargetConfig& target) {
        lun.require("number");
        lun.require("unit");
        LunConfig config{.number = lun.number("number", 0, spec::scsi::Lun::kLargestNumber).value_or(0),
                         .unit = lun.text("unit").value_or("")};
        if (!unit_names_.contains(config.unit))
            lun.fail(at, fmt::format("there is no unit \"{}\"", config.unit), "units stand before targets");
        if (std::ranges::find(target.luns, config.number, &LunConfig::number) != target.luns.end()) {
            lun.fail(at, fmt::format("LUN {} is there twice", config.number));
        }
        target.luns.push_back(std::move(config));
    }

    void read_access(TomlTable& entry, const toml::table& at, TargetConfig& target) {
        AccessConfig config;
        entry.require("initiator");
        config.initiator = entry.text("initiator").value_or("");
        if (config.initiator != "*" && !is_iscsi_name(config.initiator) && !parse_wwpn(config.initiator)) {
            entry.fail(at, fmt::format("\"{}\" is not an initiator", config.initiator),
                       "write an iSCSI name, a WWPN or \"*\"");
        }
        if (const auto luns = entry.numbers("luns", 0, spec::scsi::Lun::kLargestNumber)) {
            for (const std::uint32_t number : *luns) {
                if (std::ranges::find(target.luns, number, &LunConfig::number) == target.luns.end()) {
                    entry.fail(at, fmt::format("the target has no LUN {}", number));
                }
            }
            config.luns = luns;
        }
        config.chap = read_chap(entry, at, "user", "secret");
        config.mutual_chap = read_chap(entry, at, "mutual-user", "mutual-secret");
        if (config.mutual_chap && !config.chap) entry.fail(at, "mutual CHAP without CHAP", "give user and secret too");
        if (config.chap && config.mutual_chap && config.chap->secret == config.mutual_chap->secret) {
            entry.fail(at, "both secrets are the same", "one could be proved by reflecting the other");
        }
        target.access.push_back(std::move(config));
    }

    std::optional<ChapConfig> read_chap(TomlTable& entry, const toml::table& at, const char* user_key,
                                        const char* secret_key) {
        const auto user = entry.text(user_key), secret = entry.text(secret_key);
        if (!user && !secret) return std::nullopt;
        if (!user || !secret || secret->size() < 12) { // RFC 7143 §12.1.3: 96 bits at least
            entry.fail(at, fmt::format("CHAP needs {} and a {} of 12 characters or more", user_key, secret_key));
            return std::nullopt;
        }
        return ChapConfig{*user, *secret};
    }

    void read_portal(TomlTable& portal, const toml::table& at) {
        PortalConfig config;
        portal.require("address");
        config.address = portal.text("address").value_or("");
        config.group = static_cast<std::uint16_t>(portal.number("group", 1, 0xFFFF).value_or(1));
        if (config_.portals.size() == kPortalLimit) portal.fail(at, fmt::format("more than {} portals", kPortalLimit));
        config_.portals.push_back(std::move(config));
    }

    void read_vhost_user(TomlTable& port, const toml::table& at) {
        VhostUserConfig config;
        for (const char* key : {"socket", "target", "wwpn"}) port.require(key);
        config.socket = port.path("socket");
        config.target = port.text("target").value_or("");
        config.wwpn = port.text("wwpn").value_or("");
        if (!target_names_.contains(config.target))
            port.fail(at, fmt::format("there is no target \"{}\"", config.target));
        if (!parse_wwpn(config.wwpn))
            port.fail(at, fmt::format("\"{}\" is not a WWPN", config.wwpn), "write 16 hexadecimal digits");
        config_.vhost_user.push_back(std::move(config));
    }

    std::string file_;
    ServiceConfig config_;
    std::set<std::string> unit_names_, target_names_, drive_names_, library_drives_;
    std::optional<ConfigError> error_;
};

} // namespace

std::expected<ServiceConfig, ConfigError> parse_service(std::string_view text, const std::string& file) {
    const auto root = configuration::parse_toml_text(text, file);
    if (!root) return std::unexpected(root.error());
    return Reader(file).read(*root);
}

std::expected<ServiceConfig, ConfigError> load_service(const std::string& path) {
    const auto root = configuration::load_toml_file(path);
    if (!root) return std::unexpected(root.error());
    return Reader(path).read(*root);
}

} // namespace touka::fabric
