#include "devices_listing.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace touka::cli {
namespace {

using devices::vfio::HostFunction;

HostFunction nvme(std::string address, std::string driver) {
    HostFunction function;
    function.address = std::move(address);
    function.vendor_id = 0x1B36;
    function.device_id = 0x10;
    function.class_code = 0x010802;
    function.driver = std::move(driver);
    function.iommu_group = 7;
    function.reset_methods = {"flr", "bus"};
    return function;
}

TEST(DevicesListing, ShowsAFunctionOnALineAndItsObstacleBelow) {
    auto function = nvme("0000:03:00.0", "nvme");
    function.sriov = devices::vfio::VirtualFunctionCount{2, 8};
    function.numa_node = 1;
    EXPECT_EQ(format_devices({function}),
              "address       device    class  group node driver       reset      SR-IOV\n"
              "0000:03:00.0  1b36:0010 010802     7    1 nvme         flr,bus    2 of 8 VFs\n"
              "  group 7: bind to vfio-pci first: 0000:03:00.0 (driver nvme)\n");
}

TEST(DevicesListing, WhatCanBePassedHasNoLineBelow) {
    auto function = nvme("0000:03:00.1", "vfio-pci");
    function.physical_function = "0000:03:00.0";
    const std::string text = format_devices({function});
    EXPECT_EQ(std::ranges::count(text, '\n'), 3);
    EXPECT_NE(text.find("VF of 0000:03:00.0\na machine locks"), std::string::npos);
}

TEST(DevicesListing, SaysWhoseMemoryTheLimitIsFor) {
    auto function = nvme("0000:03:00.1", "vfio-pci");
    EXPECT_NE(format_devices({function}).find("its own limit"), std::string::npos);
    function.vfio_device = "vfio0";
    EXPECT_NE(format_devices({function}).find("all programs of its user"), std::string::npos);
}

TEST(DevicesListing, LeavesTheHostsBridgesOut) {
    auto bridge = nvme("0000:00:01.0", "pcieport");
    bridge.class_code = 0x060400;
    EXPECT_EQ(format_devices({bridge}).find("00:01.0"), std::string::npos);
}

} // namespace
} // namespace touka::cli
