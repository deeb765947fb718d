#include "machine/toml_config.hpp"

#include <fmt/format.h>

#include <array>

#include "configuration/toml_file.hpp"
#include "configuration/toml_table.hpp"
#include "machine/card_flags.hpp"
#include "machine/config_validation.hpp"
#include "machine/config_values.hpp"

namespace touka::machine {

using configuration::TomlTable;

namespace {

/// One read of one file: collects what its tables say.
class Reader {
public:
    explicit Reader(const std::string& file) : file_(file) {}

    std::expected<MachineConfig, ConfigError> read(const toml::table& root) {
        TomlTable top(root, file_);
        if (auto value = top.text("name")) config_.name = *value;
        if (auto value = top.parsed("engine", parse_engine)) config_.engine = *value;
        if (auto value = top.parsed("memory", parse_memory_size)) config_.memory_bytes = *value;
        if (auto value = top.number("cpus", 1, kCpuCountLimit)) config_.cpu_count = *value;
        config_.kernel = top.path("kernel");
        config_.initrd = top.path("initrd");
        if (auto value = top.text("wwpn")) config_.wwpn = *value;
        if (auto value = top.text("append")) config_.command_line = *value;
        if (auto value = top.number("shutdown-grace", 0, kLongestGrace_s)) config_.shutdown_grace_s = *value;
        config_.control_socket = top.path("control");
        if (auto value = top.number("slots", 0, kCardSlotLimit)) config_.free_slots = *value;
        config_.iommu = top.boolean("iommu").value_or(false);
        const auto devices = top.tables("device");
        top.reject_unknown();
        if (top.error()) return std::unexpected(*top.error());
        for (const auto* device : devices) {
            if (auto error = read_device(*device)) return std::unexpected(*std::move(error));
        }
        return std::move(config_);
    }

private:
    std::optional<ConfigError> read_device(const toml::table& table) {
        const auto* type_node = table.get("type");
        const auto type = type_node != nullptr ? type_node->value_exact<std::string>() : std::nullopt;
        TomlTable device(table, file_, type.value_or("") + " device");
        const auto declared = device.text("type");
        if (type_node == nullptr) {
            device.fail(table, "a device without a type", "write type = \"disk\", \"scsi\", \"net\", \"rng\", ...");
        } else if (type == "disk") {
            config_.disks.push_back(read_disk(device));
        } else if (type == "nvme") {
            read_nvme(device);
        } else if (type == "vfio-user") {
            device.require("socket");
            config_.cards.emplace_back(VfioUserDevice{.socket = device.path("socket"),
                                                      .address_translation = device.boolean("ats").value_or(false),
                                                      .rom = read_rom(device)});
        } else if (type == "vfio") {
            device.require("address");
            config_.cards.emplace_back(VfioDevice{.address = device.parsed("address", parse_host_address).value_or(""),
                                                  .iommufd = device.boolean("iommufd"),
                                                  .rom = read_rom(device)});
        } else if (type == "scsi") {
            read_scsi(device, table);
        } else if (type == "net") {
            read_network(device);
        } else if (type == "rng") {
            config_.entropy = device.boolean("enabled").value_or(true);
        } else if (type == "balloon") {
            config_.balloon = device.boolean("enabled").value_or(true);
        } else if (type == "console") {
            config_.virtio_console = device.boolean("enabled").value_or(true);
        } else if (type) {
            static constexpr std::array<std::string_view, 9> kTypes{"disk", "nvme", "vfio-user", "vfio",   "scsi",
                                                                    "net",  "rng",  "balloon",   "console"};
            const auto match = closest_match(*type, kTypes);
            device.fail(*type_node, fmt::format("unknown type of device \"{}\"", *type),
                        match.empty() ? fmt::format("known are {}", fmt::join(kTypes, ", "))
                                      : fmt::format("did you mean \"{}\"?", match));
        }
        device.reject_unknown();
        return device.error();
    }

    /// "off" is no path.
    static std::string read_rom(TomlTable& device) {
        const std::string text = device.text("rom").value_or("");
        return text == kNoRom ? text : device.path("rom");
    }

    DiskConfig read_disk(TomlTable& device) {
        DiskConfig disk;
        device.require("path");
        disk.path = device.path("path");
        disk.read_only = device.boolean("read-only").value_or(false);
        disk.direct = device.boolean("direct").value_or(false);
        disk.serial = device.text("serial").value_or("");
        return disk;
    }

    void read_nvme(TomlTable& device) {
        NvmeDevice card{.disk = read_disk(device)};
        card.virtual_functions = device.number("vfs", 0, kVirtualFunctionLimit).value_or(0);
        card.address_translation = device.boolean("ats").value_or(card.address_translation);
        card.metadata = device.path("metadata");
        config_.cards.emplace_back(std::move(card));
    }

    void read_scsi(TomlTable& device, const toml::table& at) {
        ScsiUnitConfig unit;
        device.require("backend");
        const auto backend = device.text("backend").value_or("lu");
        if (backend == "vhost-user") {
            device.require("socket");
            config_.vhost_user_scsi.push_back(device.path("socket"));
            return;
        }
        if (backend == "lu") {
            unit.behind = read_local_unit(device);
        } else if (backend == "sg") {
            device.require("path");
            unit.behind = SgUnit{device.path("path")};
        } else if (backend == "iscsi") {
            unit.behind = read_iscsi_unit(device);
        } else {
            device.fail(at, fmt::format("unknown backend \"{}\"", backend), "known are lu, sg, iscsi and vhost-user");
        }
        unit.allowed = device.numbers("allow", 0, 0xFF);
        config_.scsi_units.push_back(std::move(unit));
    }

    LocalUnit read_local_unit(TomlTable& device) {
        LocalUnit unit;
        device.require("path");
        unit.disk.path = device.path("path");
        unit.disk.block_bytes = device.number("block", 512, 4096).value_or(512) == 4096 ? 4096 : 512;
        if (const auto bytes = device.number("physical-block", 512, 4096)) {
            unit.disk.physical_block_bytes = *bytes == 4096 ? 4096 : 512;
        }
        unit.disk.read_only = device.boolean("read-only").value_or(false);
        unit.disk.direct = device.boolean("direct").value_or(false);
        unit.disk.removable = device.boolean("removable").value_or(false);
        unit.serial = device.text("serial").value_or("");
        unit.state = device.path("state");
        return unit;
    }

    IscsiUnit read_iscsi_unit(TomlTable& device) {
        for (const char* key : {"portal", "target"}) device.require(key);
        return {.portal = device.text("portal").value_or(""),
                .target = device.text("target").value_or(""),
                .lun = device.number("lun", 0, 0x3FFF).value_or(0),
                .user = device.text("user").value_or(""),
                .secret = device.text("secret").value_or("")};
    }

    void read_network(TomlTable& device) {
        const auto parse_backend = [](std::string_view text) -> ValueOr<bool> {
            if (text == "user") return false;
            if (text == "tap") return true;
            return std::unexpected(fmt::format("\"{}\" is not a way to the network: user or tap", text));
        };
        NetworkConfig network;
        if (device.parsed("backend", parse_backend).value_or(false)) {
            device.require("interface");
            network.backend = TapNetwork{device.text("interface").value_or("")};
        } else {
            auto& user = network.backend.emplace<UserNetwork>();
            user.forwards = device.texts("forward");
            user.restricted = device.boolean("restricted").value_or(false);
        }
        network.mac = device.parsed("mac", parse_mac).value_or("");
        config_.networks.push_back(std::move(network));
    }

    std::string file_;
    MachineConfig config_;
};

} // namespace

std::expected<MachineConfig, ConfigError> parse_toml(std::string_view text, const std::string& file) {
    const auto root = configuration::parse_toml_text(text, file);
    if (!root) return std::unexpected(root.error());
    return Reader(file).read(*root);
}

std::expected<MachineConfig, ConfigError> load_toml(const std::string& path) {
    const auto root = configuration::load_toml_file(path);
    if (!root) return std::unexpected(root.error());
    return Reader(path).read(*root);
}

} // namespace touka::machine
