#include "machine/config.hpp"

#include <gtest/gtest.h>

#include "machine/config_flags.hpp"
#include "machine/config_validation.hpp"
#include "machine/config_values.hpp"

namespace touka::machine {
namespace {

constexpr std::uint64_t kMiB = 1 << 20, kGiB = 1 << 30;

TEST(ConfigSize, RoundsMemoryDownToWholeMebibytes) {
    EXPECT_EQ(parse_memory_size("1.3G"), 1331 * kMiB);
    EXPECT_FALSE(parse_memory_size("1023K"));
}

TEST(ConfigMac, TakesOnlyAddressesOfOneCard) {
    EXPECT_EQ(parse_mac("52:54:00:AB:cd:0f"), "52:54:00:ab:cd:0f");
    for (const auto* text : {"", "52:54:00:ab:cd", "52-54-00-ab-cd-0f", "52:54:00:ab:cd:0g", "53:54:00:ab:cd:0f",
                             "00:00:00:00:00:00", "52:54:00:ab:cd:0f:"}) {
        EXPECT_FALSE(parse_mac(text)) << text;
    }
}

TEST(ConfigFlags, ReadsADiskWithItsOptions) {
    const auto disk = parse_disk_flag("/a,,b.raw,ro,direct,serial=S1").value();
    EXPECT_EQ(disk.path, "/a,b.raw");
    EXPECT_TRUE(disk.read_only);
    EXPECT_TRUE(disk.direct);
    EXPECT_EQ(disk.serial, "S1");
    EXPECT_EQ(parse_disk_flag("d.raw,dirct").error(), "--disk: unknown option \"dirct\", did you mean \"direct\"?");
    EXPECT_FALSE(parse_disk_flag(""));
    EXPECT_FALSE(parse_disk_flag("d.raw,serial"));
}

TEST(ConfigFlags, ReadsNetworksOfEveryKind) {
    EXPECT_FALSE(parse_network_flag("none")->has_value());
    const auto user = parse_network_flag("user,forward=tcp::2222-:22,forward=udp::53-:53,restricted")->value();
    EXPECT_EQ(std::get<UserNetwork>(user.backend).forwards, (std::vector<std::string>{"tcp::2222-:22", "udp::53-:53"}));
    EXPECT_TRUE(std::get<UserNetwork>(user.backend).restricted);
    const auto tap = parse_network_flag("tap=tap0,mac=52:54:00:00:00:01")->value();
    EXPECT_EQ(std::get<TapNetwork>(tap.backend).interface, "tap0");
    EXPECT_EQ(tap.mac, "52:54:00:00:00:01");
    for (const auto* text : {"", "tap", "tap=", "user=x", "bridge", "user,mac=1", "tap=t,forward=x", "user,"}) {
        EXPECT_FALSE(parse_network_flag(text)) << text;
    }
}

class ConfigValidation : public testing::Test {
protected:
    void SetUp() override {
        config_.kernel = "vmlinuz";
        ASSERT_TRUE(validate(config_));
    }
    std::string failure() { return validate(config_).error().text; }
    MachineConfig config_;
};

TEST_F(ConfigValidation, ACardsDiskIsNoOtherCardsOrDisks) {
    config_.cards.emplace_back(NvmeDevice{.disk = {.path = "/a", .serial = {}}});
    EXPECT_TRUE(validate(config_));
    config_.cards.emplace_back(NvmeDevice{.disk = {.path = "/a", .serial = {}}});
    EXPECT_EQ(failure(), "/a: the disk is there twice");
    config_.cards.back() = NvmeDevice{.disk = {.path = "/b", .serial = std::string(21, 'x')}};
    EXPECT_FALSE(validate(config_));
}

TEST_F(ConfigValidation, SlotsAreThoseOfCardsAndFreeOnes) {
    EXPECT_EQ(free_slots_of(config_), 0u); // nobody could plug anything in
    config_.control_socket = "/c.sock";
    EXPECT_EQ(free_slots_of(config_), kUsualFreeSlots);
    for (std::uint32_t i = 2; i < kCardSlotLimit; ++i) config_.cards.emplace_back(EmptySlot{});
    EXPECT_EQ(free_slots_of(config_), 2u);
    EXPECT_TRUE(validate(config_));
    config_.free_slots = 3;
    EXPECT_FALSE(validate(config_));
}

TEST_F(ConfigValidation, WantsAKernel) {
    config_.kernel.clear();
    EXPECT_EQ(failure(), "no kernel to boot");
}

TEST_F(ConfigValidation, KeepsCpusAndMemoryInWhatThePlatformCanDo) {
    config_.cpu_count = 256;
    EXPECT_EQ(failure(), "256 CPUs are not possible: 1 to 255");
    config_.cpu_count = 255;
    config_.memory_bytes = 8 * kMiB;
    EXPECT_EQ(failure(), "8 MiB of memory are not possible: 16M to 1T");
}

TEST_F(ConfigValidation, RefusesAnIommuThatAnAdapterOfAnotherProcessWouldPass) {
    config_.iommu = true;
    EXPECT_TRUE(validate(config_).has_value());
    config_.vhost_user_scsi.emplace_back("target.sock");
    EXPECT_FALSE(validate(config_).has_value());
}

TEST_F(ConfigValidation, RefusesTheSameWritableDiskTwice) {
    config_.disks = {{.path = "a.raw", .serial = {}}, {.path = "a.raw", .serial = {}}};
    EXPECT_EQ(failure(), "a.raw: the disk is there twice");
    config_.disks[0].read_only = config_.disks[1].read_only = true;
    EXPECT_TRUE(validate(config_));
}

TEST_F(ConfigValidation, RefusesIdentitiesThatAreNotUnique) {
    config_.disks = {{.path = "a", .serial = "S"}, {.path = "b", .serial = "S"}};
    EXPECT_EQ(failure(), "two disks have the serial number \"S\"");
    config_.disks.clear();
    config_.networks = {{.backend = {}, .mac = "52:54:00:00:00:0a"}, {.backend = {}, .mac = "52:54:00:00:00:0A"}};
    EXPECT_EQ(failure(), "two network cards have the MAC address 52:54:00:00:00:0A");
    config_.networks = {{.backend = TapNetwork{"t"}, .mac = {}}, {.backend = TapNetwork{"t"}, .mac = {}}};
    EXPECT_EQ(failure(), "two network cards use the tap \"t\"");
}

TEST_F(ConfigValidation, RefusesNamesThatTheGuestOrTheHostCannotTake) {
    config_.disks = {{.path = "a", .serial = "123456789012345678901"}};
    EXPECT_FALSE(validate(config_));
    config_.disks.clear();
    config_.networks = {{.backend = TapNetwork{"an-interface-name"}, .mac = {}}};
    EXPECT_FALSE(validate(config_));
    config_.networks.clear();
    config_.name = "no spaces";
    EXPECT_FALSE(validate(config_));
}

} // namespace
} // namespace touka::machine
