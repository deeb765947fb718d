#include "machine/card_flags.hpp"

#include <gtest/gtest.h>

namespace touka::machine {
namespace {

TEST(CardFlags, AnNvmeControllerHasAFileAndOptions) {
    const auto card = parse_card_flag("nvme:a,,b.raw,vfs=8,serial=S1,metadata=a.pi,ro,direct");
    ASSERT_TRUE(card.has_value()) << card.error();
    const auto& nvme = std::get<NvmeDevice>(*card);
    EXPECT_EQ(nvme.disk.path, "a,b.raw");
    EXPECT_EQ(nvme.virtual_functions, 8u);
    EXPECT_EQ(nvme.disk.serial, "S1");
    EXPECT_EQ(nvme.metadata, "a.pi");
    EXPECT_TRUE(nvme.disk.read_only);
    EXPECT_TRUE(nvme.disk.direct);
    EXPECT_FALSE(std::get<NvmeDevice>(*parse_card_flag("nvme:a,ats=off")).address_translation);
    EXPECT_TRUE(std::get<NvmeDevice>(*parse_card_flag("nvme:a,ats=on")).address_translation);
    EXPECT_FALSE(parse_card_flag("nvme:a,ats").has_value());
}

TEST(CardFlags, AreWrittenAsTheyAreRead) {
    for (const char* text :
         {"nvme:/a,,b.raw,vfs=8,serial=S,,1,ro,direct", "nvme:/a,,,vfs=1", "nvme:/a", "nvme:/a,metadata=/p,,i,ats=on",
          "vfio-user:/run/p,,f.sock", "vfio-user:/run/pf.sock,ats=on", "vfio:0000:03:00.1",
          "vfio-user:/run/a.sock,ats=on,rom=/b,,c.rom", "vfio:0000:03:00.1,rom=off", "vfio:0000:03:00.1,iommufd=on",
          "vfio:0000:03:00.1,iommufd=off,rom=/a"}) {
        const auto card = parse_card_flag(text);
        ASSERT_TRUE(card.has_value()) << card.error();
        EXPECT_EQ(card_flag(*card), text);
    }
    EXPECT_EQ(card_flag(EmptySlot{}), "");
}

TEST(CardFlags, MoreVirtualFunctionsThanThereCanBeAreRefused) {
    EXPECT_FALSE(parse_card_flag("nvme:a,vfs=65").has_value());
    EXPECT_FALSE(parse_card_flag("nvme:a,vfs=-1").has_value());
}

TEST(CardFlags, ADeviceOfAnotherProcessIsASocket) {
    const auto card = parse_card_flag("vfio-user:/run/pf.sock");
    ASSERT_TRUE(card.has_value());
    EXPECT_EQ(std::get<VfioUserDevice>(*card).socket, "/run/pf.sock");
    EXPECT_FALSE(std::get<VfioUserDevice>(*card).address_translation);
    EXPECT_TRUE(std::get<VfioUserDevice>(*parse_card_flag("vfio-user:/run/pf.sock,ats=on")).address_translation);
    for (const char* wrong : {"vfio-user:/run/pf.sock,ro", "vfio-user:/run/pf.sock,ats", "vfio-user:a,ats=maybe"})
        EXPECT_FALSE(parse_card_flag(wrong).has_value()) << wrong;
}

TEST(CardFlags, AFunctionOfTheHostIsAnAddress) {
    const auto card = parse_card_flag("vfio:03:0A.1");
    ASSERT_TRUE(card.has_value());
    EXPECT_EQ(std::get<VfioDevice>(*card).address, "0000:03:0a.1");
    EXPECT_EQ(std::get<VfioDevice>(*parse_card_flag("vfio:0001:03:00.7")).address, "0001:03:00.7");
    for (const char* wrong : {"vfio:03:00.8", "vfio:../etc", "vfio:0000:03:00", "vfio:"}) {
        EXPECT_FALSE(parse_card_flag(wrong).has_value()) << wrong;
    }
}

TEST(CardFlags, AFunctionOfOthersShowsItsRomOrAFileOrNone) {
    EXPECT_EQ(std::get<VfioDevice>(*parse_card_flag("vfio:03:00.1")).rom, "");
    EXPECT_EQ(std::get<VfioDevice>(*parse_card_flag("vfio:03:00.1,rom=a.rom")).rom, "a.rom");
    EXPECT_EQ(std::get<VfioUserDevice>(*parse_card_flag("vfio-user:s,rom=off")).rom, kNoRom);
    for (const char* wrong : {"vfio-user:s,rom", "vfio-user:s,rom=", "vfio:03:00.1,vfs=1"}) {
        EXPECT_FALSE(parse_card_flag(wrong).has_value()) << wrong;
    }
}

TEST(CardFlags, AFunctionOfTheHostGoesByIommufdWhereThereIsOneUnlessItIsSaid) {
    const auto said = [](const char* text) { return std::get<VfioDevice>(*parse_card_flag(text)).iommufd; };
    EXPECT_EQ(said("vfio:03:00.0"), std::nullopt);
    EXPECT_EQ(said("vfio:03:00.0,iommufd=auto"), std::nullopt);
    EXPECT_EQ(said("vfio:03:00.0,iommufd=on"), true);
    EXPECT_EQ(said("vfio:03:00.0,iommufd=off"), false);
    for (const char* wrong : {"vfio:03:00.0,iommufd", "vfio:03:00.0,iommufd=1", "vfio:03:00.0,iommu=on"}) {
        EXPECT_FALSE(parse_card_flag(wrong).has_value()) << wrong;
    }
}

TEST(CardFlags, AnUnknownKindIsToldWhatThereIs) {
    const auto card = parse_card_flag("nvm:disk.raw");
    ASSERT_FALSE(card.has_value());
    EXPECT_NE(card.error().find("nvme:PATH"), std::string::npos);
}

} // namespace
} // namespace touka::machine
