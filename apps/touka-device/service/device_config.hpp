// What touka-device serves: devices, their functions, and the socket that each function is at. (docs/device.md)
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "configuration/config_error.hpp"

namespace touka::device {

inline constexpr std::uint32_t kFunctionLimit = 64, kNamespaceLimit = 16;

struct NamespaceConfig {
    std::string path; ///< a raw file or a block device
    bool read_only = false;
    bool direct = false;
    std::string metadata{}; ///< file of protection information; empty: no such formats
};

struct FunctionConfig {
    std::string socket;                    ///< empty: nobody can reach it until it is handed over
    std::uint32_t commands_per_second = 0; ///< 0: no limit
    std::uint32_t mib_per_second = 0;      ///< 0: no limit
    std::uint32_t weight = 8;              ///< commands in a turn, beside other functions
};

/// An NVMe subsystem. Function 0 is the physical one, the others virtual ones.
struct DeviceConfig {
    std::string name, serial;
    std::vector<NamespaceConfig> namespaces;
    std::vector<FunctionConfig> functions;
};

struct ServiceConfig {
    std::string control_socket;
    bool poll = false; ///< doorbells are looked at all the time, by a thread that keeps a processor busy
    std::vector<DeviceConfig> devices;
};

/// @param file for messages; paths are relative to its folder.
[[nodiscard]] std::expected<ServiceConfig, configuration::ConfigError> parse_service(std::string_view text,
                                                                                     const std::string& file);
[[nodiscard]] std::expected<ServiceConfig, configuration::ConfigError> load_service(const std::string& path);

} // namespace touka::device
