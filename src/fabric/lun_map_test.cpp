#include "fabric/lun_map.hpp"

#include <gtest/gtest.h>

#include <map>

#include "scsi/device_server/device_server.hpp"

namespace touka::fabric {
namespace {

class LunMapTest : public testing::Test {
protected:
    LunMap map(std::vector<AccessConfig> access) {
        return LunMap({.name = "t", .luns = {{7, "b"}, {0, "a"}}, .access = std::move(access)},
                      [this](const std::string& name) { return &units_[name]; });
    }
    static std::vector<std::uint32_t> numbers(const std::vector<scsi::MappedUnit>& units) {
        std::vector<std::uint32_t> all;
        for (const auto& unit : units) all.push_back(unit.lun.number().value_or(999));
        return all;
    }
    std::map<std::string, scsi::DeviceServer> units_;
};

TEST_F(LunMapTest, WithoutEntriesEverybodySeesEverythingInOrder) {
    const LunMap open = map({});
    ASSERT_NE(open.entry("iqn.a"), nullptr);
    EXPECT_EQ(numbers(open.units("iqn.a")), (std::vector<std::uint32_t>{0, 7}));
}

TEST_F(LunMapTest, OthersThanThoseNamedAreKeptOut) {
    const LunMap closed = map({{.initiator = "iqn.a", .luns = {}, .chap = {}, .mutual_chap = {}}});
    EXPECT_EQ(closed.entry("iqn.b"), nullptr);
    EXPECT_TRUE(closed.units("iqn.b").empty());
    EXPECT_EQ(closed.units("IQN.A").size(), 2u) << "names have no case";
}

TEST_F(LunMapTest, AnInitiatorSeesWhatItsOwnEntrySaysBeforeThatOfAll) {
    const LunMap mixed = map({{.initiator = "*", .luns = {}, .chap = {}, .mutual_chap = {}},
                              {.initiator = "50:01:43:80:12:34:56:78",
                               .luns = std::vector<std::uint32_t>{7},
                               .chap = {},
                               .mutual_chap = {}}});
    EXPECT_EQ(numbers(mixed.units("naa.5001438012345678")), std::vector<std::uint32_t>{7});
    EXPECT_EQ(mixed.units("iqn.other").size(), 2u);
}

} // namespace
} // namespace touka::fabric
