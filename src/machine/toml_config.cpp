#include "machine/toml_config.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "machine/config_validation.hpp"
#include "machine/toml_table.hpp"
#include "runtime/unique_fd.hpp"

namespace touka::machine {
namespace {

constexpr std::size_t kFileBytesLimit = 1 << 20; // a configuration is a page of text; anything bigger is a mistake

/// One read of one file: collects what its tables say.
class Reader {
public:
    explicit Reader(const std::string& file) : file_(file), folder_(std::filesystem::path(file).parent_path()) {}

    std::expected<MachineConfig, ConfigError> read(const toml::table& root) {
        TomlTable top(root, file_);
        if (auto value = top.text("name")) config_.name = *value;
        if (auto value = top.parsed("engine", parse_engine)) config_.engine = *value;
        if (auto value = top.parsed("memory", parse_memory_size)) config_.memory_bytes = *value;
        if (auto value = top.number("cpus", 1, kCpuCountLimit)) config_.cpu_count = *value;
        if (auto value = top.text("kernel")) config_.kernel = resolve(*value);
        if (auto value = top.text("initrd")) config_.initrd = resolve(*value);
        if (auto value = top.text("append")) config_.command_line = *value;
        if (auto value = top.number("shutdown-grace", 0, kLongestGrace_s)) config_.shutdown_grace_s = *value;
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
            device.fail(table, "a device without a type", "write type = \"disk\", \"net\", \"rng\", ...");
        } else if (type == "disk") {
            read_disk(device);
        } else if (type == "net") {
            read_network(device);
        } else if (type == "rng") {
            config_.entropy = device.boolean("enabled").value_or(true);
        } else if (type == "balloon") {
            config_.balloon = device.boolean("enabled").value_or(true);
        } else if (type == "console") {
            config_.virtio_console = device.boolean("enabled").value_or(true);
        } else if (type) {
            static constexpr std::array<std::string_view, 5> kTypes{"disk", "net", "rng", "balloon", "console"};
            const auto match = closest_match(*type, kTypes);
            device.fail(*type_node, fmt::format("unknown type of device \"{}\"", *type),
                        match.empty() ? fmt::format("known are {}", fmt::join(kTypes, ", "))
                                      : fmt::format("did you mean \"{}\"?", match));
        }
        device.reject_unknown();
        return device.error();
    }

    void read_disk(TomlTable& device) {
        DiskConfig disk;
        device.require("path");
        disk.path = resolve(device.text("path").value_or(""));
        disk.read_only = device.boolean("read-only").value_or(false);
        disk.direct = device.boolean("direct").value_or(false);
        disk.serial = device.text("serial").value_or("");
        config_.disks.push_back(std::move(disk));
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

    [[nodiscard]] std::string resolve(const std::string& path) const {
        return path.empty() ? path : (folder_ / path).string(); // an absolute path stays as it is
    }

    std::string file_;
    std::filesystem::path folder_;
    MachineConfig config_;
};

std::expected<std::string, ConfigError> read_file(const std::string& path) {
    const auto failure = [&](std::string text) {
        return std::unexpected(ConfigError{.file = path, .text = std::move(text)});
    };
    const runtime::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return failure(errno == ENOENT ? "no such file" : fmt::format("cannot be opened: {}", strerror(errno)));
    std::string text;
    std::array<char, 4096> buffer{};
    for (;;) {
        const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return failure(fmt::format("cannot be read: {}", strerror(errno)));
        if (count == 0) return text;
        text.append(buffer.data(), static_cast<std::size_t>(count));
        if (text.size() > kFileBytesLimit) return failure("too big to be a machine's configuration");
    }
}

} // namespace

std::expected<MachineConfig, ConfigError> parse_toml(std::string_view text, const std::string& file) {
    try {
        return Reader(file).read(toml::parse(text, file));
    } catch (const toml::parse_error& error) {
        const auto where = error.source().begin;
        return std::unexpected(ConfigError{
            .file = file, .line = where.line, .column = where.column, .text = std::string(error.description())});
    }
}

std::expected<MachineConfig, ConfigError> load_toml(const std::string& path) {
    const auto text = read_file(path);
    if (!text) return std::unexpected(text.error());
    return parse_toml(*text, path);
}

} // namespace touka::machine
