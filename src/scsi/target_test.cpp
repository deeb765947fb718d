#include "scsi/target.hpp"

#include <gmock/gmock.h>

#include "scsi/device_server/primary_commands.hpp"
#include "scsi/device_server/test_server.hpp"

namespace touka::scsi {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

constexpr std::uint8_t kHold = TestServer::kHold;
const std::vector<std::uint8_t> kReportLuns{0xA0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0};

class TargetTest : public testing::Test {
protected:
    TargetTest() {
        for (TestServer* unit : {&first, &second, &third}) add_primary_commands(unit->server);
        nexus = &target.open(kName, {{Lun::from_number(0), &first.server}, {Lun::from_number(300), &second.server}});
        for (TestServer* unit : {&first, &second}) (void)unit->server.attentions().take(kName);
    }
    TestTask& submit(std::vector<std::uint8_t> cdb, Lun lun, std::uint64_t limit = 4096) {
        auto& task =
            *tasks.emplace_back(std::make_unique<TestTask>(*nexus, std::move(cdb), std::vector<std::uint8_t>(), limit));
        task.lun = lun;
        target.submit(task);
        target.commit();
        return task;
    }
    /// The first two bytes of each LUN reported.
    std::vector<std::uint64_t> luns(std::uint8_t select = 0) {
        auto cdb = kReportLuns;
        cdb[2] = select;
        const auto data = submit(cdb, Lun{}).received();
        EXPECT_EQ(spec::scsi::load_number(data.first(4)), data.size() - 8);
        std::vector<std::uint64_t> found;
        for (std::size_t at = 8; at < data.size(); at += 8)
            found.push_back(spec::scsi::load_number(data.subspan(at, 2)));
        return found;
    }

    const NexusName kName{{spec::scsi::ProtocolIdentifier::kIscsi, "iqn.host"}, 1};
    TestServer first, second, third;
    Target target;
    Nexus* nexus;
    std::deque<std::unique_ptr<TestTask>> tasks;
};

TEST_F(TargetTest, TasksGoToTheUnitOfTheirLun) {
    auto& task = submit({kHold, 0, 0, 0, 0, 0}, Lun::from_number(300));
    EXPECT_TRUE(second.has_started(task));
    second.finish(task);
    auto& other = submit({kHold, 0, 0, 0, 0, 0}, Lun{0x4000'0000'0000'0000});
    EXPECT_TRUE(first.has_started(other)) << "number 0 in flat addressing";
    first.finish(other);
}

TEST_F(TargetTest, AnUnknownLunIsAnsweredAsTheCommandAsks) { // SAM-6 §5.11
    const Lun unknown = Lun::from_number(7);
    EXPECT_EQ(submit({0, 0, 0, 0, 0, 0}, unknown).sense_code(), SenseCode::kLogicalUnitNotSupported);
    const auto& inquiry = submit({0x12, 0, 0, 0, 255, 0}, unknown);
    EXPECT_EQ(inquiry.status, Status::kGood);
    EXPECT_EQ(inquiry.received()[0], 0x7F);
    EXPECT_EQ(submit({0x12, 0x01, 0x80, 0, 255, 0}, unknown).sense_code(), SenseCode::kInvalidFieldInCdb);
    const auto& sense = submit({0x03, 0, 0, 0, 252, 0}, unknown);
    EXPECT_EQ(sense.status, Status::kGood);
    EXPECT_EQ(SenseData(sense.received()).decode()->code, SenseCode::kLogicalUnitNotSupported);
    EXPECT_EQ(submit(kReportLuns, unknown).sense_code(), SenseCode::kLogicalUnitNotSupported);
}

TEST_F(TargetTest, TheWellKnownUnitReportsLunsAndLittleElse) {
    const Lun well_known = spec::scsi::kReportLunsWellKnownLun;
    EXPECT_EQ(submit(kReportLuns, well_known).status, Status::kGood);
    EXPECT_EQ(submit({0, 0, 0, 0, 0, 0}, well_known).status, Status::kGood);
    EXPECT_EQ(submit({0x12, 0, 0, 0, 255, 0}, well_known).received()[0], 0x1E);
    EXPECT_EQ(submit({0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0}, well_known).sense_code(),
              SenseCode::kInvalidCommandOperationCode);
}

TEST_F(TargetTest, ReportLunsSelects) {
    EXPECT_THAT(luns(0), ElementsAre(0x0000, 0x412C));
    EXPECT_THAT(luns(1), ElementsAre(0xC101));
    EXPECT_THAT(luns(2), ElementsAre(0x0000, 0x412C, 0xC101));
    auto cdb = kReportLuns;
    cdb[2] = 3;
    EXPECT_EQ(submit(cdb, Lun{}).sense_code(), SenseCode::kInvalidFieldInCdb);
    cdb = kReportLuns;
    cdb[8] = 0;
    cdb[9] = 15;
    EXPECT_EQ(submit(cdb, Lun{}).sense_code(), SenseCode::kInvalidFieldInCdb);
}

TEST_F(TargetTest, ReportLunsIsCutToTheBufferAndTellsTheWholeLength) {
    const auto& task = submit(kReportLuns, Lun{}, 16);
    EXPECT_THAT(task.received(), SizeIs(16));
    EXPECT_EQ(task.received()[3], 16) << "two LUNs";
    EXPECT_EQ(task.transfer_bytes, 24u);
}

TEST_F(TargetTest, RemappingTellsTheUnitsThatStayAndClearsWithReportLuns) {
    target.remap(*nexus, {{Lun::from_number(0), &first.server}, {Lun::from_number(1), &third.server}});
    EXPECT_THAT(luns(), ElementsAre(0, 1));
    EXPECT_FALSE(first.server.attentions().pending(kName));
    EXPECT_EQ(third.server.attentions().take(kName), SenseCode::kPowerOnResetOrBusDeviceReset);
    EXPECT_EQ(submit({0, 0, 0, 0, 0, 0}, Lun::from_number(300)).sense_code(), SenseCode::kLogicalUnitNotSupported);
    target.remap(*nexus, {{Lun::from_number(0), &first.server}});
    EXPECT_EQ(submit({0, 0, 0, 0, 0, 0}, Lun{}).sense_code(), SenseCode::kReportedLunsDataHasChanged);
}

TEST_F(TargetTest, ClosingWaitsForTheTasksOfEveryUnit) {
    auto& here = submit({kHold, 0, 0, 0, 0, 0}, Lun{});
    auto& there = submit({kHold, 0, 0, 0, 0, 0}, Lun::from_number(300));
    int closed = 0;
    target.close(*nexus, [&] { ++closed; });
    EXPECT_EQ(target.find(kName), nullptr);
    first.finish(here);
    EXPECT_EQ(closed, 0);
    second.finish(there);
    EXPECT_EQ(closed, 1);
    EXPECT_TRUE(here.aborted && there.aborted);
}

TEST_F(TargetTest, ClosingWaitsForUnitsThatMaskingTookAway) {
    auto& task = submit({kHold, 0, 0, 0, 0, 0}, Lun::from_number(300));
    target.remap(*nexus, {{Lun::from_number(0), &first.server}});
    int closed = 0;
    target.close(*nexus, [&] { ++closed; });
    EXPECT_EQ(closed, 0) << "the task still names the nexus";
    second.finish(task);
    EXPECT_EQ(closed, 1);
}

TEST_F(TargetTest, TheSameNameCanComeBackWhileTheOldNexusCloses) {
    auto& task = submit({kHold, 0, 0, 0, 0, 0}, Lun{});
    target.close(*nexus, [] {});
    Nexus& again = target.open(kName, {{Lun::from_number(0), &first.server}});
    EXPECT_EQ(target.find(kName), &again);
    first.finish(task);
    EXPECT_EQ(target.find(kName), &again);
}

TEST_F(TargetTest, ATargetResetReachesEveryUnitAndAnswersOnce) {
    auto& here = submit({kHold, 0, 0, 0, 0, 0}, Lun{});
    auto& there = submit({kHold, 0, 0, 0, 0, 0}, Lun::from_number(300));
    int answers = 0;
    target.manage(TaskManagementFunction::kTargetReset, *nexus, Lun{}, 0, [&](auto) {
        ++answers;
        target.close(*nexus, [] {});
    });
    first.finish(here);
    EXPECT_EQ(answers, 0);
    second.finish(there);
    EXPECT_EQ(answers, 1);
}

TEST_F(TargetTest, APortMayCloseTheNexusInTheAnswerToAReset) {
    target.manage(TaskManagementFunction::kItNexusReset, *nexus, Lun{}, 0, [&](auto) { target.close(*nexus, [] {}); });
    EXPECT_EQ(target.find(kName), nullptr);
}

TEST_F(TargetTest, TaskManagementForAnUnknownLunSaysSo) {
    std::optional<TaskManagementResponse> answer;
    target.manage(TaskManagementFunction::kLogicalUnitReset, *nexus, Lun::from_number(9), 0,
                  [&](auto response) { answer = response; });
    EXPECT_EQ(answer, TaskManagementResponse::kIncorrectLun);
}

} // namespace
} // namespace touka::scsi
