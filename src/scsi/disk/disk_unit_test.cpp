#include "scsi/disk/disk_unit.hpp"

#include <gmock/gmock.h>

#include <set>

#include "scsi/disk/test_disk.hpp"
#include "spec/scsi/operation.hpp"

namespace touka::scsi {
namespace {

using spec::scsi::load_number;
using testing::ElementsAre;
using testing::SizeIs;

class DiskUnitTest : public testing::Test, public TestDisk {
protected:
    std::vector<std::uint8_t> page(std::uint8_t code) { return read({0x12, 0x01, code, 0, 255, 0}); }
    static std::uint64_t field(const std::vector<std::uint8_t>& data, std::size_t at, std::size_t count) {
        return load_number(std::span(data).subspan(at, count));
    }
    static std::string text(const std::vector<std::uint8_t>& data, std::size_t at, std::size_t count) {
        return {data.begin() + static_cast<std::ptrdiff_t>(at), data.begin() + static_cast<std::ptrdiff_t>(at + count)};
    }
};

TEST_F(DiskUnitTest, InquirySaysWhatItIs) {
    const auto data = read({0x12, 0, 0, 0, 255, 0});
    ASSERT_THAT(data, SizeIs(74));
    EXPECT_EQ(data[0], 0x00);
    EXPECT_EQ(data[1], 0x00);
    EXPECT_EQ(data[2], 0x06);
    EXPECT_EQ(data[3], 0x12);
    EXPECT_EQ(data[4], 69);
    EXPECT_EQ(data[5] & 0x30, 0x30) << "TPGS";
    EXPECT_EQ(data[6] & 0x10, 0x10) << "MULTIP";
    EXPECT_EQ(data[7], 0x02) << "CMDQUE";
    EXPECT_EQ(text(data, 8, 28), "TOUKA   TEST DISK       0.1 ");
    EXPECT_EQ(field(data, 58, 2), 0x00A0u);
    EXPECT_THAT(read({0x12, 0, 0, 0, 5, 0}), SizeIs(5));
    EXPECT_EQ(run({0x12, 0, 0x80, 0, 255, 0}).sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_EQ(run({0x12, 0x02, 0, 0, 255, 0}).sense_code(), SenseCode::kInvalidFieldInCdb) << "CMDDT is obsolete";
}

TEST_F(DiskUnitTest, WithoutPortGroupsThereIsNoAsymmetricAccess) {
    auto options = test_disk_options();
    for (TargetPort& port : options.ports) port.group = 0;
    open_again(options);
    EXPECT_EQ(read({0x12, 0, 0, 0, 255, 0})[5] & 0x30, 0);
}

TEST_F(DiskUnitTest, CommandsOf32BytesAreThereWhenTheyAreWanted) {
    auto short_ones = test_disk_options();
    short_ones.long_commands = false;
    EXPECT_EQ(run(cdb32(0x0009, 0, 1)).status, Status::kGood);
    open_again(short_ones);
    EXPECT_EQ(run(cdb32(0x0009, 0, 1)).sense_code(), SenseCode::kInvalidCommandOperationCode);
}

TEST_F(DiskUnitTest, EverySupportedPageIsThereAndNamesItself) {
    const auto list = page(0x00);
    ASSERT_THAT(list, SizeIs(4u + list[3]));
    for (std::size_t i = 4; i < list.size(); ++i) {
        if (i > 4) {
            EXPECT_LT(list[i - 1], list[i]);
        }
        const auto data = page(list[i]);
        EXPECT_EQ(data[0], 0);
        EXPECT_EQ(data[1], list[i]);
        EXPECT_EQ(field(data, 2, 2), data.size() - 4);
    }
    EXPECT_EQ(run({0x12, 0x01, 0x90, 0, 255, 0}).sense_code(), SenseCode::kInvalidFieldInCdb);
}

TEST_F(DiskUnitTest, DeviceIdentificationNamesUnitAndPort) {
    EXPECT_EQ(text(page(0x80), 4, 2), "S1");
    const auto data = page(0x83);
    std::vector<std::pair<int, int>> designators; // association, type
    for (std::size_t at = 4; at + 4 <= data.size(); at += 4u + data[at + 3]) {
        designators.emplace_back(data[at + 1] >> 4 & 3, data[at + 1] & 0x0F);
        ASSERT_LE(at + 4 + data[at + 3], data.size());
    }
    EXPECT_THAT(designators,
                ElementsAre(std::pair(0, 3), std::pair(0, 1), std::pair(1, 4), std::pair(1, 5), std::pair(1, 8)));
    EXPECT_EQ(field(data, 8, 8), derive_naa("S1"));
    EXPECT_EQ(data[8] >> 4, 3) << "locally assigned";
}

TEST_F(DiskUnitTest, LimitsAreWhatTheCommandsKeepTo) {
    const auto data = page(0xB0);
    ASSERT_THAT(data, SizeIs(64));
    EXPECT_EQ(data[5], 255) << "COMPARE AND WRITE";
    EXPECT_EQ(field(data, 8, 4), (16u << 20) / 512);
    EXPECT_EQ(field(data, 20, 4), (512u << 20) / 512) << "UNMAP";
    EXPECT_EQ(field(data, 24, 4), 256u);
    EXPECT_EQ(field(data, 28, 4), 8u) << "granularity";
    EXPECT_THAT(page(0xB1), SizeIs(64));
    EXPECT_EQ(field(page(0xB1), 4, 2), 1u);
    EXPECT_EQ(page(0xB1)[7], 0x40) << "what a block erase leaves can be read";
    EXPECT_THAT(page(0xB2), ElementsAre(0, 0xB2, 0, 4, 0, 0xE4, 2, 0));
}

TEST_F(DiskUnitTest, CapacityIsToldInBothSizes) {
    EXPECT_THAT(read({0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0}), ElementsAre(0, 0, 0x07, 0xFF, 0, 0, 2, 0));
    EXPECT_EQ(run({0x25, 0, 0, 0, 0, 1, 0, 0, 0, 0}).sense_code(), SenseCode::kInvalidFieldInCdb);
    const auto data = read(cdb16(0x9E, 0, 255, 0x10));
    ASSERT_THAT(data, SizeIs(32));
    EXPECT_EQ(field(data, 0, 8), kBlocks - 1);
    EXPECT_EQ(field(data, 8, 4), 512u);
    EXPECT_EQ(data[14], 0xC0) << "LBPME, LBPRZ";
    EXPECT_THAT(read(cdb16(0x9E, 0, 12, 0x10)), SizeIs(12));
    volume.geometry().physical_block_bytes = 4096;
    open_again();
    EXPECT_EQ(read(cdb16(0x9E, 0, 255, 0x10))[13], 3) << "eight blocks to a physical one";
}

TEST_F(DiskUnitTest, ModeSenseOfBothSizesHasTheSamePages) {
    const auto six = read({0x1A, 0, 0x3F, 0, 255, 0});
    const auto ten = read({0x5A, 0, 0x3F, 0, 0, 0, 0, 0, 255, 0});
    EXPECT_EQ(six[0], six.size() - 1);
    EXPECT_EQ(six[2], 0x10) << "DPOFUA";
    EXPECT_EQ(six[3], 8);
    EXPECT_EQ(field(six, 4, 4), kBlocks);
    EXPECT_EQ(field(six, 9, 3), 512u);
    EXPECT_EQ(field(ten, 0, 2), ten.size() - 2);
    EXPECT_EQ(text(six, 12, six.size() - 12), text(ten, 16, ten.size() - 16));
    std::set<int> pages;
    for (std::size_t at = 12; at < six.size(); at += 2u + six[at + 1]) pages.insert(six[at]);
    EXPECT_THAT(pages, ElementsAre(0x01, 0x08, 0x0A, 0x1C));
}

TEST_F(DiskUnitTest, ModeSenseKnowsLongAddressesAndNoDescriptors) {
    const auto data = read({0x5A, 0x10, 0x08, 0, 0, 0, 0, 0, 255, 0});
    EXPECT_EQ(data[4], 1) << "LONGLBA";
    EXPECT_EQ(data[7], 16);
    EXPECT_EQ(field(data, 8, 8), kBlocks);
    EXPECT_EQ(field(data, 20, 4), 512u);
    EXPECT_EQ(read({0x1A, 0x08, 0x08, 0, 255, 0})[4], 0x08) << "DBD: the page follows the header";
}

TEST_F(DiskUnitTest, ModeSenseRefusesWhatThereIsNot) {
    EXPECT_EQ(run({0x1A, 0, 0x02, 0, 255, 0}).sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_EQ(run({0x1A, 0, 0x3F, 0x55, 255, 0}).sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_EQ(run({0x1A, 0, 0xC0 | 0x08, 0, 255, 0}).sense_code(), SenseCode::kSavingParametersNotSupported);
    EXPECT_EQ(run({0x1A, 0, 0x3F, 0xFF, 255, 0}).status, Status::kGood);
}

TEST_F(DiskUnitTest, ModeSelectChangesWhatIsChangeableAndTellsTheOthers) {
    std::vector<std::uint8_t> caching(18);
    EXPECT_EQ(select_page(0x08, caching).status, Status::kGood);
    EXPECT_EQ(read({0x1A, 0x08, 0x08, 0, 255, 0})[6], 0) << "current";
    EXPECT_EQ(read({0x1A, 0x08, 0x48, 0, 255, 0})[6], 0x04) << "changeable";
    EXPECT_EQ(read({0x1A, 0x08, 0x88, 0, 255, 0})[6], 0x04) << "default";
    EXPECT_EQ(user().run_from(user().b, {0, 0, 0, 0, 0, 0}).sense_code(), SenseCode::kModeParametersChanged);
    EXPECT_EQ(run({0, 0, 0, 0, 0, 0}).status, Status::kGood) << "not to the one that did it";
    disk().server().reset(SenseCode::kBusDeviceResetFunctionOccurred, [] {});
    (void)run({0, 0, 0, 0, 0, 0});
    EXPECT_EQ(read({0x1A, 0x08, 0x08, 0, 255, 0})[6], 0x04) << "a reset brings defaults back";
}

TEST_F(DiskUnitTest, ModeSelectOfSixBytesDoesTheSame) {
    std::vector<std::uint8_t> list{0, 0, 0, 0, 0x08, 18};
    list.resize(24);
    EXPECT_EQ(run({0x15, 0x10, 0, 0, 24, 0}, list).status, Status::kGood);
    EXPECT_EQ(read({0x1A, 0x08, 0x08, 0, 255, 0})[6], 0);
}

TEST_F(DiskUnitTest, ModeSelectRefusesTheWholeListForOneWrongPage) {
    const auto select = [&](std::vector<std::uint8_t> list, std::uint8_t flags = 0x10) {
        const auto length = static_cast<std::uint8_t>(list.size());
        return run({0x55, flags, 0, 0, 0, 0, 0, 0, length, 0}, std::move(list)).sense_code();
    };
    std::vector<std::uint8_t> list(8 + 20 + 12);
    list[8] = 0x08;
    list[9] = 18;
    list[28] = 0x01; // Read-Write Error Recovery, of which nothing is changeable
    list[29] = 10;
    EXPECT_EQ(select(list), SenseCode::kInvalidFieldInParameterList);
    EXPECT_EQ(read({0x1A, 0x08, 0x08, 0, 255, 0})[6], 0x04) << "nothing changed";
    list[28] = 0x08;
    EXPECT_EQ(select(list), SenseCode::kInvalidFieldInParameterList) << "page of another length";
    list[28] = 0x3E;
    EXPECT_EQ(select(list), SenseCode::kInvalidFieldInParameterList) << "no such page";
    list[28] = 0x0A;
    list[29] = 11;
    EXPECT_EQ(select(list), SenseCode::kParameterListLengthError) << "cut page";
    EXPECT_EQ(select(std::vector<std::uint8_t>(7)), SenseCode::kParameterListLengthError);
    EXPECT_EQ(select(std::vector<std::uint8_t>(8), 0x11), SenseCode::kInvalidFieldInCdb) << "SP";
    EXPECT_EQ(run({0x55, 0x10, 0, 0, 0, 0, 0, 0, 40, 0}, std::vector<std::uint8_t>(20)).sense_code(),
              SenseCode::kParameterListLengthError);
    EXPECT_EQ(run({0x55, 0x10, 0, 0, 0, 0, 0, 0, 0, 0}).status, Status::kGood);
}

TEST_F(DiskUnitTest, ABlockDescriptorThatAsksForOtherBlocksChangesNothing) {
    std::vector<std::uint8_t> list(8 + 8 + 20);
    list[7] = 8;
    spec::scsi::store_number(std::span(list).subspan(13, 3), 4096);
    list[16] = 0x08;
    list[17] = 18;
    const std::vector<std::uint8_t> cdb{0x55, 0x10, 0, 0, 0, 0, 0, 0, 36, 0};
    EXPECT_EQ(run(cdb, list).sense_code(), SenseCode::kInvalidFieldInParameterList);
    EXPECT_EQ(read({0x1A, 0x08, 0x08, 0, 255, 0})[6], 0x04) << "the page neither";
    spec::scsi::store_number(std::span(list).subspan(13, 3), 512);
    EXPECT_EQ(run(cdb, list).status, Status::kGood) << "a count of 0 keeps the capacity";
    spec::scsi::store_number(std::span(list).subspan(8, 4), kBlocks - 1);
    EXPECT_EQ(run(cdb, list).sense_code(), SenseCode::kInvalidFieldInParameterList);
    list[7] = 255;
    EXPECT_EQ(run(cdb, list).sense_code(), SenseCode::kParameterListLengthError);
}

TEST_F(DiskUnitTest, TheControlPageChoosesSenseFormatAndWriteProtection) {
    const std::vector<std::uint8_t> control{0x00, 0x10, 0x00, 0x00, 0, 0, 0xFF, 0xFF, 0, 0};
    auto changed = control;
    changed[0] = 0x04;
    changed[2] = 0x08;
    EXPECT_EQ(select_page(0x0A, changed).status, Status::kGood);
    const auto& write = run(cdb10(0x2A, 0, 1), blocks(1, 1));
    EXPECT_EQ(write.sense.bytes()[0], 0x72);
    EXPECT_EQ(write.sense_code(), SenseCode::kLogicalUnitSoftwareWriteProtected);
    EXPECT_EQ(read({0x1A, 0x08, 0x0A, 0, 255, 0})[2], 0x90) << "WP";
    EXPECT_EQ(run(cdb10(0x28, 0, 1)).status, Status::kGood);
    EXPECT_EQ(select_page(0x0A, control).status, Status::kGood);
    EXPECT_EQ(run(cdb10(0x2A, 0, 1), blocks(1, 1)).status, Status::kGood);
    changed = control;
    changed[1] = 0;
    EXPECT_EQ(select_page(0x0A, changed).sense_code(), SenseCode::kInvalidFieldInParameterList);
    EXPECT_EQ(run({0xFF}).sense.bytes()[0], 0x70);
}

TEST_F(DiskUnitTest, TasChoosesHowTasksOfOthersEnd) {
    EXPECT_EQ(select_page(0x0A, {0x00, 0x10, 0x00, 0x40, 0, 0, 0xFF, 0xFF, 0, 0}).status, Status::kGood);
    (void)disk().server().attentions().take(user().b.name);
    volume.held = true;
    auto& task = user().run_from(user().b, cdb10(0x28, 0, 1));
    disk().unit().manage(TaskManagementFunction::kClearTaskSet, user().a, 0, [](auto) {});
    complete_all();
    EXPECT_EQ(task.status, Status::kTaskAborted);
    EXPECT_FALSE(task.aborted);
}

TEST_F(DiskUnitTest, LogPagesCountReadsAndWrites) {
    EXPECT_THAT(read({0x4D, 0, 0x40, 0, 0, 0, 0, 0, 255, 0}), ElementsAre(0, 0, 0, 3, 0x00, 0x19, 0x2F));
    EXPECT_THAT(read({0x4D, 0, 0x40, 0xFF, 0, 0, 0, 0, 255, 0}),
                ElementsAre(0x40, 0xFF, 0, 8, 0, 0, 0, 0xFF, 0x19, 0, 0x2F, 0));
    run(cdb10(0x28, 0, 3));
    run(cdb10(0x2A, 0, 2), blocks(2, 1));
    const auto data = read({0x4D, 0, 0x59, 0, 0, 0, 0, 0, 255, 0});
    EXPECT_EQ(field(data, 2, 2), data.size() - 4);
    EXPECT_EQ(field(data, 4, 2), 1u);
    EXPECT_EQ(field(data, 8, 8), 1u);
    EXPECT_EQ(field(data, 16, 8), 1u);
    EXPECT_EQ(field(data, 24, 8), 2u);
    EXPECT_EQ(field(data, 32, 8), 3u);
}

TEST_F(DiskUnitTest, LogSenseRefusesWhatThereIsNot) {
    EXPECT_EQ(run({0x4D, 0, 0x42, 0, 0, 0, 0, 0, 255, 0}).sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_EQ(run({0x4D, 0, 0x19, 0, 0, 0, 0, 0, 255, 0}).sense_code(), SenseCode::kInvalidFieldInCdb) << "thresholds";
    EXPECT_EQ(run({0x4D, 0, 0x59, 0, 0, 0, 2, 0, 255, 0}).sense_code(), SenseCode::kInvalidFieldInCdb)
        << "no parameter that late";
    EXPECT_EQ(run({0x4C, 0, 0x40, 0, 0, 0, 0, 0, 8, 0}, std::vector<std::uint8_t>(8)).sense_code(),
              SenseCode::kInvalidFieldInCdb);
    EXPECT_EQ(run({0x4C, 0x02, 0x40, 0, 0, 0, 0, 0, 0, 0}).status, Status::kGood);
}

/// What REPORT SUPPORTED OPERATION CODES says of all commands.
struct Reported {
    std::uint8_t code;
    std::uint16_t action;
    bool has_action;
    std::size_t length;
};
std::vector<Reported> all_commands(TestDisk& disk) {
    std::vector<Reported> list;
    const auto data = disk.read({0xA3, 0x0C, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0});
    EXPECT_EQ(load_number(std::span(data).first(4)), data.size() - 4);
    for (std::size_t at = 4; at < data.size(); at += 8) {
        const auto entry = std::span(data).subspan(at, 8);
        list.push_back({entry[0], static_cast<std::uint16_t>(load_number(entry.subspan(2, 2))), (entry[5] & 1) != 0,
                        load_number(entry.subspan(6, 2))});
    }
    return list;
}
std::vector<std::uint8_t> usage_of(TestDisk& disk, const Reported& command) {
    auto data = disk.read({0xA3, 0x0C, static_cast<std::uint8_t>(command.has_action ? 2 : 1), command.code,
                           static_cast<std::uint8_t>(command.action >> 8), static_cast<std::uint8_t>(command.action), 0,
                           0, 0, 255, 0, 0});
    EXPECT_EQ(data[1], 0x03);
    EXPECT_EQ(load_number(std::span(data).subspan(2, 2)), command.length);
    return {data.begin() + 4, data.end()};
}

TEST_F(DiskUnitTest, EveryReportedUsageIsWhatTheServerChecks) {
    using spec::scsi::operation::kVariableLength;
    const auto list = all_commands(*this);
    EXPECT_GT(list.size(), 50u);
    for (const Reported& command : list) {
        const auto usage = usage_of(*this, command);
        ASSERT_EQ(usage.size(), command.length);
        EXPECT_EQ(Cdb(usage).operation_code(), command.code);
        if (command.has_action) {
            EXPECT_EQ(Cdb(usage).service_action(), command.action) << "the service action itself (SPC-5 §6.34.3)";
        }
        const Command* const found = disk().server().commands().find(command.code, command.action);
        ASSERT_NE(found, nullptr);
        EXPECT_FALSE(CommandSet::check(*found, Cdb(usage)).has_value()) << int{command.code};
        for (std::size_t byte = 1; byte < usage.size(); ++byte) {
            for (unsigned bit = 0; bit < 8; ++bit) {
                auto cdb = usage;
                cdb[byte] ^= static_cast<std::uint8_t>(1u << bit);
                if ((usage[byte] >> bit & 1) != 0 || Cdb(cdb).service_action() != command.action) continue;
                const auto sense = CommandSet::check(*found, Cdb(cdb));
                ASSERT_TRUE(sense) << int{command.code} << " byte " << byte << " bit " << bit;
                EXPECT_EQ(sense->field->byte, byte);
                EXPECT_EQ(sense->field->bit, bit);
            }
        }
    }
}

TEST_F(DiskUnitTest, ReportSupportedOperationCodesAnswersForOne) {
    const auto report = [&](std::uint8_t option, std::uint8_t code, std::uint8_t action) -> TestTask& {
        return run({0xA3, 0x0C, option, code, 0, action, 0, 0, 0, 255, 0, 0});
    };
    EXPECT_THAT(report(1, 0xF0, 0).received(), ElementsAre(0, 1, 0, 0));
    EXPECT_EQ(report(1, 0xA3, 0).sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_EQ(report(2, 0x28, 0).sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_EQ(report(2, 0xA3, 0x1E).received()[1], 1);
    EXPECT_EQ(report(3, 0xA3, 0x0C).received()[1], 3);
    EXPECT_EQ(report(3, 0x28, 0).received()[1], 3);
    EXPECT_EQ(report(3, 0x28, 1).received()[1], 1);
    EXPECT_EQ(report(4, 0x28, 0).sense_code(), SenseCode::kInvalidFieldInCdb);
    const auto timeouts = report(0x81, 0x28, 0).received();
    EXPECT_EQ(timeouts[1], 0x83);
    EXPECT_THAT(timeouts, SizeIs(4 + 10 + 12));
    EXPECT_THAT(run({0xA3, 0x0D, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0}).received(), ElementsAre(0xDE, 0x07, 0, 0));
    EXPECT_THAT(run({0xA3, 0x0D, 0x80, 0, 0, 0, 0, 0, 0, 255, 0, 0}).received(), SizeIs(16));
    EXPECT_EQ(run({0xA3, 0x0D, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0}).sense_code(), SenseCode::kInvalidFieldInCdb);
}

TEST_F(DiskUnitTest, PortGroupsAreReportedAndSet) {
    const std::vector<std::uint8_t> report{0xA3, 0x0A, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0};
    EXPECT_THAT(read(report), ElementsAre(0, 0, 0, 24,                           //
                                          0, 0x0F, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, //
                                          0, 0x0F, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2));
    const auto extended = read({0xA3, 0x2A, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0});
    EXPECT_EQ(extended[4], 0x10);
    EXPECT_THAT(extended, SizeIs(32));
    EXPECT_EQ(run({0xA3, 0x4A, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0}).sense_code(), SenseCode::kInvalidFieldInCdb);

    const std::vector<std::uint8_t> set{0xA4, 0x0A, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0};
    EXPECT_EQ(run(set, {0, 0, 0, 0, 0x02, 0, 0, 2}).status, Status::kGood);
    EXPECT_EQ(read(report)[16], 0x02);
    EXPECT_EQ(read(report)[16 + 5], 1) << "explicitly";
    const auto from_b = [&](std::vector<std::uint8_t> cdb) -> TestTask& {
        return user().run_from(user().b, std::move(cdb));
    };
    EXPECT_EQ(from_b({0, 0, 0, 0, 0, 0}).sense_code(), SenseCode::kAsymmetricAccessStateChanged);
    EXPECT_EQ(from_b(cdb10(0x28, 0, 1)).sense_code(), SenseCode::kTargetPortInStandbyState);
    EXPECT_EQ(from_b({0x1A, 0, 0x3F, 0, 255, 0}).status, Status::kGood);
    EXPECT_EQ(run(cdb10(0x28, 0, 1)).status, Status::kGood) << "the other group";
    EXPECT_EQ(run(set, {0, 0, 0, 0, 0x03, 0, 0, 2}).status, Status::kGood);
    (void)from_b({0, 0, 0, 0, 0, 0});
    EXPECT_EQ(from_b({0x1A, 0, 0x3F, 0, 255, 0}).sense_code(), SenseCode::kTargetPortInUnavailableState);
    EXPECT_EQ(from_b({0x12, 0, 0, 0, 255, 0}).status, Status::kGood);
    EXPECT_EQ(user().run_from(user().b, set, {0, 0, 0, 0, 0, 0, 0, 2}).status, Status::kGood) << "it can come back";
    EXPECT_EQ(from_b(cdb10(0x28, 0, 1)).status, Status::kGood);
}

TEST_F(DiskUnitTest, SettingPortGroupsChecksItsList) {
    const auto set = [&](std::vector<std::uint8_t> list, std::uint8_t length) -> TestTask& {
        return run({0xA4, 0x0A, 0, 0, 0, 0, 0, 0, 0, length, 0, 0}, std::move(list));
    };
    EXPECT_EQ(set({}, 0).status, Status::kGood);
    EXPECT_EQ(set({0, 0, 0, 0}, 4).sense_code(), SenseCode::kParameterListLengthError);
    EXPECT_EQ(set({0, 0, 0, 0, 0, 0, 0}, 8).sense_code(), SenseCode::kParameterListLengthError);
    EXPECT_EQ(set({0, 0, 0, 0, 0, 0, 0, 9}, 8).sense_code(), SenseCode::kInvalidFieldInParameterList);
    EXPECT_EQ(set({0, 0, 0, 0, 0x0E, 0, 0, 1}, 8).sense_code(), SenseCode::kInvalidFieldInParameterList);
    EXPECT_EQ(set({0, 0, 0, 0, 0x02, 0, 0, 1, 0x07, 0, 0, 2}, 12).sense_code(),
              SenseCode::kInvalidFieldInParameterList);
    EXPECT_EQ(read({0xA3, 0x0A, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0})[4], 0) << "none or all";
}

} // namespace
} // namespace touka::scsi
