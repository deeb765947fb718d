#include "fabric/target_config.hpp"

#include <gtest/gtest.h>

namespace touka::fabric {
namespace {

std::string problem(std::string_view text) {
    const auto config = parse_service(text, "/etc/t.toml");
    return config ? "none" : describe(config.error());
}

constexpr std::string_view kDisk = R"(
[[unit]]
name = "db"
type = "disk"
path = "db.raw"
)";

TEST(TargetConfig, ReadsUnitsTargetsAndPortals) {
    const auto config = parse_service(std::string(kDisk) + R"(
block = 4096
removable = true
[[target]]
name = "iqn.2026-01.example:a"
[[target.lun]]
number = 3
unit = "db"
[[target.access]]
initiator = "50:01:43:80:12:34:56:78"
luns = [3]
user = "u"
secret = "twelve-bytes-at-least"
[[portal]]
address = "127.0.0.1:3260"
group = 2
)",
                                      "/etc/t.toml");
    ASSERT_TRUE(config) << describe(config.error());
    const auto& disk = std::get<DiskUnitConfig>(config->units.at(0).kind);
    EXPECT_EQ(disk.path, "/etc/db.raw");
    EXPECT_EQ(disk.block_bytes, 4096u);
    EXPECT_TRUE(disk.removable);
    EXPECT_EQ(config->targets.at(0).luns.at(0), (LunConfig{3, "db"}));
    EXPECT_EQ(config->targets.at(0).access.at(0).chap->user, "u");
    EXPECT_EQ(config->portals.at(0), (PortalConfig{"127.0.0.1:3260", 2}));
}

TEST(TargetConfig, ReadsALibraryWithItsDrivesAndCartridges) {
    const auto config = parse_service(R"(
[[unit]]
name = "drive"
type = "tape"
[[unit]]
name = "library"
type = "changer"
slots = 4
drives = ["drive"]
[[unit.cartridge]]
path = "a.tap"
barcode = "A00001L8"
capacity = "16M"
slot = 2
)",
                                      "t.toml");
    ASSERT_TRUE(config) << describe(config.error());
    const auto& library = std::get<ChangerUnitConfig>(config->units.at(1).kind);
    EXPECT_EQ(library.drives, std::vector<std::string>{"drive"});
    EXPECT_EQ(library.cartridges.at(0).capacity_bytes, 16u << 20);
    EXPECT_EQ(library.cartridges.at(0).slot, 2u);
}

TEST(TargetConfig, NamesThePlaceOfWhatIsWrong) {
    EXPECT_EQ(problem("[[unit]]\nname = \"a\"\ntype = \"disc\"\n"),
              "/etc/t.toml:1:1: unknown type of unit \"disc\" (known are disk, tape and changer)");
    EXPECT_EQ(problem(std::string(kDisk) + "blok = 512\n"),
              "/etc/t.toml:6:1: unknown key \"blok\" of a unit (did you mean \"block\"?)");
    EXPECT_EQ(problem(std::string(kDisk) + std::string(kDisk)), "/etc/t.toml:7:1: two units have the name \"db\"");
}

TEST(TargetConfig, RefusesWhatLeadsNowhere) {
    const std::string target = std::string(kDisk) + "[[target]]\nname = \"iqn.2026-01.example:a\"\n";
    EXPECT_NE(problem(target + "[[target.lun]]\nnumber = 0\nunit = \"no\"\n"), "none");
    EXPECT_NE(problem(target + "[[target.access]]\ninitiator = \"*\"\nluns = [0]\n"), "none") << "no such LUN";
    EXPECT_NE(problem(target + "[[target.access]]\ninitiator = \"*\"\nuser = \"u\"\nsecret = \"short\"\n"), "none");
    EXPECT_NE(problem("[[target]]\nname = \"disk\"\n"), "none") << "not an iSCSI name";
    EXPECT_NE(problem("[[vhost-user]]\nsocket = \"s\"\ntarget = \"t\"\nwwpn = \"1\"\n"), "none");
}

} // namespace
} // namespace touka::fabric
