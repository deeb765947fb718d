#include "device_config.hpp"

#include <gtest/gtest.h>

namespace touka::device {
namespace {

std::string failure(std::string_view text) {
    const auto config = parse_service(text, "/etc/device.toml");
    return config ? "no error" : describe(config.error());
}

constexpr std::string_view kWhole = R"(
control = "control.sock"
[[device]]
name = "fast"
type = "nvme"
serial = "S1"
[[device.namespace]]
path = "disk.raw"
direct = true
metadata = "disk.pi"
[[device.function]]
socket = "pf.sock"
[[device.function]]
socket = "/run/vf1.sock"
iops = 1000
mib-per-second = 100
weight = 2
)";

TEST(DeviceConfig, ReadsEveryKey) {
    const auto config = parse_service(kWhole, "/etc/device.toml");
    ASSERT_TRUE(config.has_value()) << describe(config.error());
    EXPECT_EQ(config->control_socket, "/etc/control.sock");
    ASSERT_EQ(config->devices.size(), 1u);
    const DeviceConfig& device = config->devices.front();
    EXPECT_EQ(device.serial, "S1");
    EXPECT_EQ(device.namespaces.at(0).path, "/etc/disk.raw");
    EXPECT_TRUE(device.namespaces.at(0).direct);
    EXPECT_EQ(device.namespaces.at(0).metadata, "/etc/disk.pi");
    ASSERT_EQ(device.functions.size(), 2u);
    EXPECT_EQ(device.functions[0].socket, "/etc/pf.sock");
    EXPECT_EQ(device.functions[1].socket, "/run/vf1.sock");
    EXPECT_EQ(device.functions[1].commands_per_second, 1000u);
    EXPECT_EQ(device.functions[1].mib_per_second, 100u);
    EXPECT_EQ(device.functions[1].weight, 2u);
}

TEST(DeviceConfig, SaysWhatIsMissing) {
    EXPECT_NE(failure("").find("no device"), std::string::npos);
    EXPECT_NE(failure("[[device]]\nname=\"a\"\ntype=\"nvme\"\n[[device.function]]\nsocket=\"s\"").find("namespaces"),
              std::string::npos);
    EXPECT_NE(failure("[[device]]\nname=\"a\"\ntype=\"nvme\"\n[[device.namespace]]\npath=\"p\"").find("functions"),
              std::string::npos);
}

TEST(DeviceConfig, OneSocketIsForOneFunction) {
    const std::string text = std::string(kWhole) + "[[device.function]]\nsocket = \"pf.sock\"\n";
    EXPECT_NE(failure(text).find("two functions"), std::string::npos);
}

TEST(DeviceConfig, SuggestsWhatWasMeant) {
    EXPECT_NE(failure(std::string(kWhole) + "wieght = 2\n").find("weight"), std::string::npos);
}

} // namespace
} // namespace touka::device
