// The PCI functions of the host, as sysfs tells of them: what a machine can be given, and what stands in the way.
// (Linux Documentation/ABI/testing/sysfs-bus-pci, Documentation/driver-api/vfio.rst)
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace touka::devices::vfio {

inline constexpr std::string_view kSysfs = "/sys";

/// The SR-IOV side of a physical function.
struct VirtualFunctionCount {
    unsigned enabled = 0, total = 0;
};

struct HostFunction {
    std::string address; ///< "0000:03:00.1"
    std::uint16_t vendor_id = 0, device_id = 0;
    std::uint32_t class_code = 0;              ///< 24 bits
    std::string driver;                        ///< empty: none
    std::optional<unsigned> iommu_group;       ///< nothing: no IOMMU, or none in use
    std::vector<std::string> reset_methods;    ///< "flr", "pm", "bus", ...; empty: it cannot be reset
    std::optional<int> numa_node;              ///< nothing: the host has none
    std::optional<VirtualFunctionCount> sriov; ///< of physical functions that can have virtual ones
    std::string physical_function;             ///< of a virtual one: its physical one's address
    std::string vfio_device; ///< "vfio0", its file in /dev/vfio/devices; empty: not vfio-pci's, or Linux has no such

    [[nodiscard]] bool is_bridge() const { return class_code >> 16 == 0x06; }
};

/// @param sysfs where sysfs is mounted.
/// @return all functions, ascending by address; a text when there is no PCI bus.
[[nodiscard]] std::expected<std::vector<HostFunction>, std::string>
list_host_functions(std::string_view sysfs = kSysfs);

/// Why a function cannot be given to a machine now, and what to do; empty: it can.
/// The unit of isolation is the IOMMU group: all its functions but bridges go together, or have no driver.
[[nodiscard]] std::string obstacle(const HostFunction& function, const std::vector<HostFunction>& all);

} // namespace touka::devices::vfio
