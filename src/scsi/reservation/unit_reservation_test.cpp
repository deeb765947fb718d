// RESERVE and RELEASE through a device server, alone and beside persistent reservations.
#include <gtest/gtest.h>

#include "scsi/reservation/reservation_fixture.hpp"

namespace touka::scsi {
namespace {

namespace out = spec::scsi::persistent_reserve_out;
using namespace spec::scsi::operation;

class UnitReserve : public testing::Test {
protected:
    ReservedUnit unit{{.target_ports = {1, 2}}};
};

TEST_F(UnitReserve, TheHolderMayReserveAgainAndOthersMayNot) {
    EXPECT_EQ(unit.run(unit.a, kReserve6), Status::kGood);
    EXPECT_EQ(unit.run(unit.a, kReserve10), Status::kGood);
    EXPECT_EQ(unit.run(unit.b, kReserve6), Status::kReservationConflict);
    EXPECT_EQ(unit.run(unit.b, kReserve10), Status::kReservationConflict);
}

TEST_F(UnitReserve, OthersMayDoNothingButWhatIsExempt) {
    EXPECT_EQ(unit.run(unit.a, kReserve6), Status::kGood);
    EXPECT_EQ(unit.run(unit.b, kTestUnitReady), Status::kReservationConflict);
    EXPECT_EQ(unit.run(unit.b, kRead10), Status::kReservationConflict);
    EXPECT_EQ(unit.run(unit.b, kWrite10), Status::kReservationConflict);
    EXPECT_EQ(unit.run(unit.b, kInquiry), Status::kGood);
    EXPECT_EQ(unit.run(unit.b, kPreventAllowMediumRemoval), Status::kGood);
    EXPECT_EQ(unit.submit(unit.b, {kPreventAllowMediumRemoval, 0, 0, 0, 1, 0}).status, Status::kReservationConflict);
    EXPECT_EQ(unit.run(unit.a, kTestUnitReady), Status::kGood);
    EXPECT_EQ(unit.run(unit.a, kRead10), Status::kGood);
    EXPECT_EQ(unit.run(unit.a2, kRead10), Status::kReservationConflict); // through another target port
}

TEST_F(UnitReserve, ReleasingWhatOneDoesNotHaveIsGoodAndDoesNothing) {
    EXPECT_EQ(unit.run(unit.a, kRelease6), Status::kGood);
    EXPECT_EQ(unit.run(unit.a, kReserve6), Status::kGood);
    EXPECT_EQ(unit.run(unit.b, kRelease6), Status::kGood);
    EXPECT_EQ(unit.run(unit.b, kReserve6), Status::kReservationConflict);
    EXPECT_EQ(unit.run(unit.a, kRelease10), Status::kGood);
    EXPECT_EQ(unit.run(unit.b, kReserve6), Status::kGood);
}

TEST_F(UnitReserve, ResetReleases) {
    EXPECT_EQ(unit.run(unit.a, kReserve6), Status::kGood);
    unit.server.manage(TaskManagementFunction::kLogicalUnitReset, unit.b, 0, [](TaskManagementResponse) {});
    while (unit.attention(unit.b)) {
    }
    EXPECT_EQ(unit.run(unit.b, kReserve6), Status::kGood);
}

TEST_F(UnitReserve, LossOfTheHoldersNexusReleases) {
    EXPECT_EQ(unit.run(unit.a, kReserve6), Status::kGood);
    unit.server.detach(unit.b, [] {});
    unit.server.attach(unit.b);
    while (unit.attention(unit.b)) {
    }
    EXPECT_EQ(unit.run(unit.b, kReserve6), Status::kReservationConflict);
    unit.server.detach(unit.a, [] {});
    EXPECT_EQ(unit.run(unit.b, kReserve6), Status::kGood);
}

TEST_F(UnitReserve, ExtentsAndThirdPartiesAreRefused) {
    EXPECT_EQ(unit.submit(unit.a, {kReserve6, 0x01, 0, 0, 0, 0}).sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_EQ(unit.submit(unit.a, {kReserve10, 0x10, 0, 5, 0, 0, 0, 0, 0, 0}).sense_code(),
              SenseCode::kInvalidFieldInCdb);
    EXPECT_FALSE(unit.commands.unit().holder());
}

TEST_F(UnitReserve, PersistentCommandsConflictForTheHolderToo) {
    EXPECT_EQ(unit.run(unit.a, kReserve6), Status::kGood);
    for (Nexus* nexus : {&unit.a, &unit.b}) {
        EXPECT_EQ(unit.reserve_out(*nexus, out::kRegister, basic_list(0, 1)).status, Status::kReservationConflict);
        EXPECT_EQ(unit.reserve_in(*nexus, 0).status, Status::kReservationConflict);
    }
    EXPECT_EQ(unit.run(unit.a, kRelease6), Status::kGood);
    EXPECT_EQ(unit.reserve_out(unit.a, out::kRegister, basic_list(0, 1)).status, Status::kGood);
}

TEST_F(UnitReserve, RegistrationsWithoutReservationMakeReserveAndReleaseConflict) {
    EXPECT_EQ(unit.reserve_out(unit.a, out::kRegister, basic_list(0, 1)).status, Status::kGood);
    for (const std::uint8_t code : {kReserve6, kReserve10, kRelease6, kRelease10}) {
        EXPECT_EQ(unit.run(unit.a, code), Status::kReservationConflict);
        EXPECT_EQ(unit.run(unit.b, code), Status::kReservationConflict);
    }
}

TEST_F(UnitReserve, WhomThePersistentReservationLetsInIsAnsweredGoodWithoutEffect) {
    struct Row {
        std::uint8_t type;
        bool registered_good;
    };
    for (const Row& row : {Row{1, false}, Row{3, false}, Row{5, true}, Row{6, true}, Row{7, true}, Row{8, true}}) {
        SCOPED_TRACE(int{row.type});
        ReservedUnit fresh{{.target_ports = {1}}};
        fresh.reserve_out(fresh.a, out::kRegister, basic_list(0, 0xA));
        fresh.reserve_out(fresh.b, out::kRegister, basic_list(0, 0xB));
        fresh.reserve_out(fresh.a, out::kReserve, basic_list(0xA, 0), row.type);
        const Status registered = row.registered_good ? Status::kGood : Status::kReservationConflict;
        for (const std::uint8_t code : {kReserve6, kRelease6, kReserve10, kRelease10}) {
            EXPECT_EQ(fresh.run(fresh.a, code), Status::kGood);
            EXPECT_EQ(fresh.run(fresh.b, code), registered);
            EXPECT_EQ(fresh.run(fresh.c, code), Status::kReservationConflict);
        }
        EXPECT_FALSE(fresh.commands.unit().holder());
        EXPECT_TRUE(fresh.commands.persistent().state().reservation);
    }
}

} // namespace
} // namespace touka::scsi
