#include "devices/passthrough/vfio/host_functions.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace touka::devices::vfio {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kOurDriver = "vfio-pci";

/// The first line; empty when there is none.
std::string line_of(const fs::path& file) {
    std::string line;
    std::getline(std::ifstream(file), line);
    return line;
}

/// @return nothing when the file is missing or holds no number.
template <class Number>
std::optional<Number> number_of(const fs::path& file, int base = 10) {
    const std::string line = line_of(file);
    const char* first = line.data();
    if (base == 16 && line.starts_with("0x")) first += 2;
    Number value{};
    const auto parsed = std::from_chars(first, line.data() + line.size(), value, base);
    if (parsed.ec != std::errc{}) return std::nullopt;
    return value;
}

/// The last part of what a link points to; empty: no link.
std::string link_of(const fs::path& link) {
    std::error_code error;
    const fs::path target = fs::read_symlink(link, error);
    return error ? std::string() : target.filename().string();
}

std::optional<unsigned> group_in(const fs::path& folder) {
    const std::string group = link_of(folder / "iommu_group");
    if (group.empty()) return std::nullopt;
    unsigned number = 0;
    std::from_chars(group.data(), group.data() + group.size(), number);
    return number;
}

/// The one entry of its folder vfio-dev; empty: there is none.
std::string vfio_device_in(const fs::path& folder) {
    std::error_code error;
    const fs::directory_iterator entries(folder / "vfio-dev", error);
    return error || entries == fs::directory_iterator() ? std::string() : entries->path().filename().string();
}

HostFunction read_function(const fs::path& folder) {
    HostFunction function;
    function.address = folder.filename().string();
    function.vendor_id = number_of<std::uint16_t>(folder / "vendor", 16).value_or(0);
    function.device_id = number_of<std::uint16_t>(folder / "device", 16).value_or(0);
    function.class_code = number_of<std::uint32_t>(folder / "class", 16).value_or(0);
    function.driver = link_of(folder / "driver");
    function.physical_function = link_of(folder / "physfn");
    function.iommu_group = group_in(folder);
    function.vfio_device = vfio_device_in(folder);
    std::istringstream methods(line_of(folder / "reset_method"));
    for (std::string method; methods >> method;) function.reset_methods.push_back(method);
    if (const auto node = number_of<int>(folder / "numa_node"); node && *node >= 0) function.numa_node = node;
    if (const auto total = number_of<unsigned>(folder / "sriov_totalvfs"); total && *total > 0) {
        function.sriov = VirtualFunctionCount{number_of<unsigned>(folder / "sriov_numvfs").value_or(0), *total};
    }
    return function;
}

} // namespace

std::expected<std::vector<HostFunction>, std::string> list_host_functions(std::string_view sysfs) {
    const fs::path folder = fs::path(sysfs) / "bus/pci/devices";
    std::error_code error;
    std::vector<HostFunction> functions;
    for (const auto& entry : fs::directory_iterator(folder, error)) functions.push_back(read_function(entry.path()));
    if (error) return std::unexpected(fmt::format("{}: no PCI bus here ({})", folder.string(), error.message()));
    std::ranges::sort(functions, {}, &HostFunction::address);
    return functions;
}

std::string obstacle(const HostFunction& function, const std::vector<HostFunction>& all) {
    if (function.is_bridge()) return "a bridge: it belongs to the host";
    if (!function.iommu_group) {
        return "no IOMMU group: switch the IOMMU on in the firmware and start Linux with intel_iommu=on or "
               "amd_iommu=on";
    }
    std::vector<std::string> in_the_way;
    for (const HostFunction& other : all) {
        if (other.iommu_group != function.iommu_group || other.is_bridge()) continue;
        if (other.driver == kOurDriver || (other.driver.empty() && other.address != function.address)) continue;
        in_the_way.push_back(other.driver.empty() ? other.address
                                                  : fmt::format("{} (driver {})", other.address, other.driver));
    }
    if (in_the_way.empty()) return {};
    return fmt::format("group {}: bind to vfio-pci first: {}", *function.iommu_group, fmt::join(in_the_way, ", "));
}

} // namespace touka::devices::vfio
