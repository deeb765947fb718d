#include "devices/passthrough/vfio/host_functions.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace touka::devices::vfio {
namespace {

namespace fs = std::filesystem;

/// A sysfs of its own, with what the tests plug in.
class HostFunctions : public testing::Test {
protected:
    HostFunctions() {
        std::string name = (fs::temp_directory_path() / "touka-sysfs-XXXXXX").string();
        root_ = ::mkdtemp(name.data());
        fs::create_directories(root_ / "bus/pci/devices");
    }
    ~HostFunctions() override { fs::remove_all(root_); }

    fs::path plug(const std::string& address, const std::string& class_code, const std::string& driver,
                  const std::string& group) {
        const fs::path folder = root_ / "bus/pci/devices" / address;
        fs::create_directories(folder);
        put(folder / "vendor", "0x1b36");
        put(folder / "device", "0x0010");
        put(folder / "class", class_code);
        put(folder / "numa_node", "-1");
        if (!driver.empty()) fs::create_symlink("../../../../bus/pci/drivers/" + driver, folder / "driver");
        if (!group.empty()) fs::create_symlink("../../../kernel/iommu_groups/" + group, folder / "iommu_group");
        return folder;
    }
    static void put(const fs::path& file, const std::string& text) { std::ofstream(file) << text << '\n'; }
    [[nodiscard]] std::vector<HostFunction> list() const { return list_host_functions(root_.string()).value(); }

    fs::path root_;
};

constexpr const char* kNvmeClass = "0x010802";
constexpr const char* kBridgeClass = "0x060400";

TEST_F(HostFunctions, TheirOwnFilesAreFoundWhereTheKernelHasSuch) {
    fs::create_directories(plug("0000:03:00.0", kNvmeClass, "vfio-pci", "7") / "vfio-dev/vfio12");
    fs::create_directories(plug("0000:04:00.0", kNvmeClass, "vfio-pci", "8") / "vfio-dev");
    plug("0000:05:00.0", kNvmeClass, "vfio-pci", "9");
    const auto all = list();
    EXPECT_EQ(all[0].vfio_device, "vfio12");
    EXPECT_EQ(all[1].vfio_device, "");
    EXPECT_EQ(all[2].vfio_device, "");
}

TEST_F(HostFunctions, TellWhatSysfsTells) {
    const fs::path folder = plug("0000:03:00.0", kNvmeClass, "nvme", "7");
    put(folder / "reset_method", "flr bus");
    put(folder / "numa_node", "1");
    put(folder / "sriov_totalvfs", "8");
    put(folder / "sriov_numvfs", "2");
    const auto functions = list();
    ASSERT_EQ(functions.size(), 1u);
    const HostFunction& function = functions.front();
    EXPECT_EQ(function.address, "0000:03:00.0");
    EXPECT_EQ(function.vendor_id, 0x1B36);
    EXPECT_EQ(function.device_id, 0x0010);
    EXPECT_EQ(function.class_code, 0x010802u);
    EXPECT_EQ(function.driver, "nvme");
    EXPECT_EQ(function.iommu_group, 7u);
    EXPECT_EQ(function.reset_methods, (std::vector<std::string>{"flr", "bus"}));
    EXPECT_EQ(function.numa_node, 1);
    ASSERT_TRUE(function.sriov.has_value());
    EXPECT_EQ(function.sriov->total, 8u);
    EXPECT_EQ(function.sriov->enabled, 2u);
}

TEST_F(HostFunctions, AVirtualOneNamesItsPhysicalOne) {
    const fs::path folder = plug("0000:03:00.1", kNvmeClass, "", "8");
    fs::create_symlink("../0000:03:00.0", folder / "physfn");
    EXPECT_EQ(list().front().physical_function, "0000:03:00.0");
    EXPECT_FALSE(list().front().numa_node.has_value());
}

TEST_F(HostFunctions, AreSortedByAddress) {
    plug("0000:03:00.1", kNvmeClass, "", "");
    plug("0000:00:02.0", kNvmeClass, "", "");
    EXPECT_EQ(list().front().address, "0000:00:02.0");
}

TEST_F(HostFunctions, WithoutAPciBusThereIsAReason) {
    EXPECT_FALSE(list_host_functions((root_ / "nothing").string()).has_value());
}

TEST_F(HostFunctions, WithoutAnIommuNothingCanBePassed) {
    plug("0000:03:00.0", kNvmeClass, "vfio-pci", "");
    const auto all = list();
    EXPECT_NE(obstacle(all[0], all).find("IOMMU"), std::string::npos);
}

TEST_F(HostFunctions, AGroupIsViableWhenNobodyElseDrivesAnyOfIt) {
    plug("0000:00:01.0", kBridgeClass, "pcieport", "7");
    plug("0000:03:00.0", kNvmeClass, "vfio-pci", "7");
    plug("0000:03:00.1", kNvmeClass, "", "7");
    plug("0000:04:00.0", kNvmeClass, "nvme", "9");
    const auto all = list();
    EXPECT_EQ(obstacle(all[1], all), "");
}

TEST_F(HostFunctions, TheObstacleNamesGroupMemberAndDriver) {
    plug("0000:03:00.0", kNvmeClass, "vfio-pci", "7");
    plug("0000:03:00.1", kNvmeClass, "nvme", "7");
    const auto all = list();
    EXPECT_EQ(obstacle(all[0], all), "group 7: bind to vfio-pci first: 0000:03:00.1 (driver nvme)");
}

TEST_F(HostFunctions, AFunctionWithoutADriverHasToBeBoundItself) {
    plug("0000:03:00.0", kNvmeClass, "", "7");
    const auto all = list();
    EXPECT_EQ(obstacle(all[0], all), "group 7: bind to vfio-pci first: 0000:03:00.0");
}

} // namespace
} // namespace touka::devices::vfio
