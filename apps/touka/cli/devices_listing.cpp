#include "devices_listing.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace touka::cli {

using devices::vfio::HostFunction;

namespace {

std::string sriov_of(const HostFunction& function) {
    if (!function.physical_function.empty()) return fmt::format("VF of {}", function.physical_function);
    if (function.sriov) return fmt::format("{} of {} VFs", function.sriov->enabled, function.sriov->total);
    return "-";
}

std::string line_of(const HostFunction& function) {
    const auto group = function.iommu_group ? fmt::format("{}", *function.iommu_group) : "-";
    const auto node = function.numa_node ? fmt::format("{}", *function.numa_node) : "-";
    const auto resets =
        function.reset_methods.empty() ? "-" : fmt::format("{}", fmt::join(function.reset_methods, ","));
    return fmt::format("{:<13} {:04x}:{:04x} {:06x} {:>5} {:>4} {:<12} {:<10} {}\n", function.address,
                       function.vendor_id, function.device_id, function.class_code, group, node,
                       function.driver.empty() ? "-" : function.driver, resets, sriov_of(function));
}

/// Empty: nothing can be given.
std::string format_memory_limit(const std::vector<HostFunction>& functions) {
    const auto bound = [](const HostFunction& function) { return function.driver == "vfio-pci"; };
    const auto has_file = [](const HostFunction& function) { return !function.vfio_device.empty(); };
    if (std::ranges::none_of(functions, bound)) return {};
    if (std::ranges::none_of(functions, has_file)) {
        return "a machine locks its memory for them, which has to be within its own limit (ulimit -l)\n";
    }
    return "by iommufd a machine locks its memory for them, and what all programs of its user lock has to be within "
           "the "
           "limit (ulimit -l)\n";
}

} // namespace

std::string format_devices(const std::vector<HostFunction>& functions) {
    std::string text = fmt::format("{:<13} {:<9} {:<6} {:>5} {:>4} {:<12} {:<10} {}\n", "address", "device", "class",
                                   "group", "node", "driver", "reset", "SR-IOV");
    for (const HostFunction& function : functions) {
        if (function.is_bridge()) continue; // the host's own
        text += line_of(function);
        if (const auto reason = obstacle(function, functions); !reason.empty()) text += fmt::format("  {}\n", reason);
    }
    return text + format_memory_limit(functions);
}

ExitStatus list_devices(std::ostream& out, Messages& messages) {
    const auto functions = devices::vfio::list_host_functions();
    if (!functions) {
        messages.error(functions.error(), "there is nothing to pass to a machine");
        return ExitStatus::kFailed;
    }
    out << format_devices(*functions) << std::flush;
    return out ? ExitStatus::kPoweredOff : ExitStatus::kFailed;
}

} // namespace touka::cli
