#include "machine/scsi_flags.hpp"

#include <gtest/gtest.h>

namespace touka::machine {
namespace {

ScsiUnitConfig unit(std::string_view text) {
    auto parsed = parse_scsi_flag(text);
    EXPECT_TRUE(parsed) << parsed.error();
    return parsed ? std::get<ScsiUnitConfig>(*parsed) : ScsiUnitConfig{};
}

TEST(ScsiFlags, ReadsAUnitOfOurOwn) {
    const auto config = unit("lu:/a,,b.raw,block=4096,ro,removable,serial=S,state=/st,allow=00+12+a3");
    const auto& local = std::get<LocalUnit>(config.behind);
    EXPECT_EQ(local.disk.path, "/a,b.raw");
    EXPECT_EQ(local.disk.block_bytes, 4096u);
    EXPECT_TRUE(local.disk.read_only && local.disk.removable && !local.disk.direct);
    EXPECT_EQ(local.state, "/st");
    EXPECT_EQ(config.allowed, (std::vector<std::uint32_t>{0x00, 0x12, 0xA3}));
}

TEST(ScsiFlags, ReadsUnitsThatArePassedThrough) {
    EXPECT_EQ(std::get<SgUnit>(unit("sg:/dev/sg3").behind).path, "/dev/sg3");
    const auto config = unit("iscsi:[::1]:3260,iqn.2026-01.example:a,12,user=u,secret=s");
    const auto& array = std::get<IscsiUnit>(config.behind);
    EXPECT_EQ(array.portal, "[::1]:3260");
    EXPECT_EQ(array.target, "iqn.2026-01.example:a");
    EXPECT_EQ(array.lun, 12u);
    EXPECT_EQ(array.secret, "s");
}

TEST(ScsiFlags, ReadsTheSocketOfAnotherProcess) {
    const auto parsed = parse_scsi_flag("vhost-user:/run/a.sock");
    ASSERT_TRUE(parsed);
    EXPECT_EQ(std::get<VhostUserSocket>(*parsed).path, "/run/a.sock");
}

TEST(ScsiFlags, SaysWhatIsWrong) {
    for (const auto* text :
         {"", "disk.raw", "lu:", "sg", "iscsi:1.2.3.4:1", "iscsi:1.2.3.4:1,iqn.a,x", "lu:a,block=1000",
          "lu:a,allow=", "lu:a,allow=100", "sg:/dev/sg0,ro", "vhost-user:/s,ro"}) {
        EXPECT_FALSE(parse_scsi_flag(text)) << text;
    }
    EXPECT_EQ(parse_scsi_flag("lu:a,removeable").error(),
              "--scsi: unknown option \"removeable\", did you mean \"removable\"?");
}

} // namespace
} // namespace touka::machine
