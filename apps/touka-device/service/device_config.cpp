#include "device_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "configuration/toml_file.hpp"
#include "configuration/toml_table.hpp"

namespace touka::device {

using configuration::ConfigError;
using configuration::TomlTable;

namespace {

constexpr std::uint32_t kMost = 0x7FFF'FFFF;
constexpr std::size_t kSerialLimit = 20;

/// One read of one file.
class Reader {
public:
    explicit Reader(const std::string& file) : file_(file) {}

    std::expected<ServiceConfig, ConfigError> read(const toml::table& root) {
        TomlTable top(root, file_);
        config_.control_socket = top.path("control", "touka-device.sock");
        config_.poll = top.boolean("poll").value_or(false);
        const auto devices = top.tables("device");
        if (devices.empty()) top.fail(root, "no device", "write a [[device]] table");
        top.reject_unknown();
        if (top.error()) return std::unexpected(*top.error());
        for (const auto* table : devices) {
            if (auto error = read_device(*table)) return std::unexpected(*std::move(error));
        }
        return std::move(config_);
    }

private:
    std::optional<ConfigError> read_device(const toml::table& table) {
        TomlTable reader(table, file_, "device");
        DeviceConfig device;
        for (const char* key : {"name", "type"}) reader.require(key);
        device.name = reader.text("name").value_or("");
        if (const auto type = reader.text("type"); type && *type != "nvme") {
            reader.fail(table, fmt::format("unknown type of device \"{}\"", *type), "known is nvme");
        }
        device.serial = reader.text("serial").value_or(device.name);
        const auto namespaces = reader.tables("namespace");
        const auto functions = reader.tables("function");
        reader.reject_unknown();
        check_device(reader, table, device, namespaces.size(), functions.size());
        if (reader.error()) return reader.error();
        for (const auto* each : namespaces) {
            if (auto error = read_namespace(*each, device)) return error;
        }
        for (const auto* each : functions) {
            if (auto error = read_function(*each, device)) return error;
        }
        config_.devices.push_back(std::move(device));
        return std::nullopt;
    }

    void check_device(TomlTable& reader, const toml::table& at, const DeviceConfig& device, std::size_t namespaces,
                      std::size_t functions) const {
        const auto printable = [](char c) { return c >= ' ' && c <= '~'; };
        if (std::ranges::find(config_.devices, device.name, &DeviceConfig::name) != config_.devices.end()) {
            reader.fail(at, fmt::format("two devices are called \"{}\"", device.name));
        }
        if (device.serial.size() > kSerialLimit || !std::ranges::all_of(device.serial, printable)) {
            reader.fail(at, fmt::format("the serial number \"{}\" is not up to {} ASCII characters", device.serial,
                                        kSerialLimit));
        }
        if (namespaces == 0 || namespaces > kNamespaceLimit) {
            reader.fail(at, fmt::format("a device has 1 to {} namespaces", kNamespaceLimit),
                        "write a [[device.namespace]] table with a path");
        }
        if (functions == 0 || functions > kFunctionLimit) {
            reader.fail(at, fmt::format("a device has 1 to {} functions", kFunctionLimit),
                        "write a [[device.function]] table with a socket");
        }
    }

    std::optional<ConfigError> read_namespace(const toml::table& table, DeviceConfig& device) {
        TomlTable reader(table, file_, "namespace");
        reader.require("path");
        device.namespaces.push_back({.path = reader.path("path"),
                                     .read_only = reader.boolean("read-only").value_or(false),
                                     .direct = reader.boolean("direct").value_or(false),
                                     .metadata = reader.path("metadata")});
        reader.reject_unknown();
        return reader.error();
    }

    std::optional<ConfigError> read_function(const toml::table& table, DeviceConfig& device) {
        TomlTable reader(table, file_, "function");
        FunctionConfig function;
        function.socket = reader.path("socket");
        function.commands_per_second = reader.number("iops", 1, kMost).value_or(0);
        function.mib_per_second = reader.number("mib-per-second", 1, kMost).value_or(0);
        function.weight = reader.number("weight", 1, 64).value_or(function.weight);
        if (!function.socket.empty() && !sockets_.insert(function.socket).second) {
            reader.fail(table, fmt::format("two functions are at {}", function.socket));
        }
        reader.reject_unknown();
        device.functions.push_back(std::move(function));
        return reader.error();
    }

    std::string file_;
    ServiceConfig config_;
    std::set<std::string> sockets_;
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

} // namespace touka::device
