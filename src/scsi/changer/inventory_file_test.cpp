#include "scsi/changer/inventory_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace touka::scsi {
namespace {

constexpr LibraryGeometry kGeometry{.slots = 3, .import_export = 1, .drives = 1};
constexpr ElementAddress kSlot = LibraryGeometry::kFirstSlot;

class InventoryOnDisk : public testing::Test {
protected:
    InventoryOnDisk() { EXPECT_NE(::mkdtemp(folder.data()), nullptr); }
    ~InventoryOnDisk() override { std::filesystem::remove_all(folder); }
    std::string folder = "/tmp/touka-inventory-XXXXXX";
    [[nodiscard]] std::string path() const { return folder + "/inventory.toml"; }
};

InventoryFile::Configured configured(const std::string& barcode, ElementAddress element = 0) {
    return {.cartridge = {.path = "/tapes/" + barcode + ".tap", .barcode = barcode}, .element = element};
}

TEST_F(InventoryOnDisk, TheFirstTimeItIsTheConfigurations) {
    const auto inventory = InventoryFile(path()).load(kGeometry, {configured("A", kSlot + 2), configured("B")});
    ASSERT_TRUE(inventory.has_value()) << inventory.error();
    EXPECT_EQ(inventory->find("A"), kSlot + 2);
    EXPECT_EQ(inventory->find("B"), kSlot);
}

TEST_F(InventoryOnDisk, LaterItIsWhatWasSavedWithWhatTheConfigurationSaysOfCartridges) {
    InventoryFile file(path());
    auto inventory = file.load(kGeometry, {configured("A"), configured("B")});
    inventory->apply(*inventory->plan_move(kSlot, LibraryGeometry::kFirstDrive));
    ASSERT_TRUE(
        inventory->put(kSlot + 2, {.cartridge = {.path = "q\"\\\n.tap", .barcode = "OTHER"}, .imported = true}));
    ASSERT_TRUE(file.save(*inventory).has_value());
    auto protected_a = configured("A");
    protected_a.cartridge.write_protected = true;
    auto again = file.load(kGeometry, {protected_a, configured("B"), configured("C")});
    ASSERT_TRUE(again.has_value()) << again.error();
    EXPECT_EQ(again->find("A"), LibraryGeometry::kFirstDrive);
    EXPECT_TRUE(again->find(LibraryGeometry::kFirstDrive)->cartridge.write_protected);
    EXPECT_EQ(again->find(LibraryGeometry::kFirstDrive)->source, kSlot);
    EXPECT_EQ(again->find("C"), kSlot); // the first empty one
    EXPECT_EQ(again->find(kSlot + 2)->cartridge.path, "q\"\\\n.tap");
    EXPECT_TRUE(again->find(kSlot + 2)->imported);
    EXPECT_FALSE(std::filesystem::exists(path() + ".new"));
}

TEST_F(InventoryOnDisk, WhatTheOperatorTookOutStaysOut) {
    InventoryFile file(path());
    auto inventory = file.load(kGeometry, {configured("A"), configured("B")});
    inventory->take(kSlot);
    inventory->outside = {"A", "GONE"};
    ASSERT_TRUE(file.save(*inventory).has_value());
    const auto again = file.load(kGeometry, {configured("A"), configured("B")});
    ASSERT_TRUE(again.has_value());
    EXPECT_FALSE(again->find("A").has_value());
    EXPECT_EQ(again->outside, std::vector<std::string>{"A"});
}

TEST_F(InventoryOnDisk, ADamagedFileIsNoEmptyLibrary) {
    for (const char* text : {"", "version = 2\n", "version = 1\n[[cartridge]]\nbarcode = \"A\"\n",
                             "version = 1\n[[cart", "version = 1\ncartridge = [1]\n", "version = 1\noutside = [1]\n"}) {
        std::ofstream(path()) << text;
        const auto inventory = InventoryFile(path()).load(kGeometry, {});
        ASSERT_FALSE(inventory.has_value()) << text;
        EXPECT_TRUE(inventory.error().starts_with(path())) << inventory.error();
    }
}

TEST_F(InventoryOnDisk, ASaveThatFailsLeavesTheOldFile) {
    InventoryFile file(path());
    const auto inventory = file.load(kGeometry, {configured("A")});
    ASSERT_TRUE(file.save(*inventory).has_value());
    ASSERT_EQ(::mkdir((path() + ".new").c_str(), 0755), 0);
    EXPECT_FALSE(file.save(Inventory(kGeometry)).has_value());
    EXPECT_TRUE(file.load(kGeometry, {})->find("A").has_value());
}

TEST_F(InventoryOnDisk, AConfigurationThatCannotBeIsRefused) {
    const InventoryFile file(path());
    EXPECT_FALSE(file.load(kGeometry, {configured("A"), configured("A")}).has_value());
    EXPECT_FALSE(file.load(kGeometry, {configured("")}).has_value());
    EXPECT_FALSE(file.load(kGeometry, {configured(" A")}).has_value());
    EXPECT_FALSE(file.load(kGeometry, {configured("A", 7)}).has_value());
    EXPECT_FALSE(
        file.load(kGeometry, {configured("A"), configured("B"), configured("C"), configured("D")}).has_value());
}

} // namespace
} // namespace touka::scsi
