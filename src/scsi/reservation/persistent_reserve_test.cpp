// PERSISTENT RESERVE IN and OUT through a device server.
#include <gmock/gmock.h>

#include "scsi/reservation/reservation_fixture.hpp"

namespace touka::scsi {
namespace {

namespace out = spec::scsi::persistent_reserve_out;
namespace in = spec::scsi::persistent_reserve_in;
namespace operation = spec::scsi::operation;
using spec::scsi::load_number;
using testing::ElementsAre;
using testing::ElementsAreArray;

constexpr std::uint8_t kPersists = 0x01, kAllPorts = 0x04, kPorts = 0x08;
constexpr std::uint8_t kWriteExclusive = 1, kExclusiveAccess = 3, kRegistrantsOnly = 5, kAllRegistrants = 7;

class PersistentReserve : public testing::Test {
protected:
    void enroll(Nexus& nexus, ReservationKey key, std::uint8_t flags = 0) {
        EXPECT_EQ(unit.reserve_out(nexus, out::kRegister, basic_list(0, key, flags)).status, Status::kGood);
    }
    void reserve(Nexus& nexus, ReservationKey key, std::uint8_t type) {
        EXPECT_EQ(unit.reserve_out(nexus, out::kReserve, basic_list(key, 0), type).status, Status::kGood);
    }
    [[nodiscard]] const PersistentReservationsState& state() const { return unit.commands.persistent().state(); }

    MemoryJournal journal;
    ReservedUnit unit{{.target_ports = {1, 2}, .journal = &journal}};
};

TEST_F(PersistentReserve, AReservationKeepsOthersFromWhatItsTypeSays) {
    enroll(unit.a, 0xA);
    reserve(unit.a, 0xA, kWriteExclusive);
    EXPECT_EQ(unit.run(unit.b, operation::kTestUnitReady), Status::kGood);
    EXPECT_EQ(unit.run(unit.b, operation::kRead10), Status::kGood);
    EXPECT_EQ(unit.run(unit.b, operation::kWrite10), Status::kReservationConflict);
    EXPECT_EQ(unit.reserve_in(unit.b, in::kReadKeys).status, Status::kGood);
    unit.submit(unit.a, {operation::kWrite10, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    EXPECT_EQ(unit.held.size(), 1u);
    unit.let_go();
}

TEST_F(PersistentReserve, StrangersMayRegisterUnderAReservationAndDoNothingElse) {
    enroll(unit.a, 0xA);
    reserve(unit.a, 0xA, kExclusiveAccess);
    for (const std::uint16_t action :
         {out::kReserve, out::kRelease, out::kClear, out::kPreempt, out::kPreemptAndAbort}) {
        EXPECT_EQ(unit.reserve_out(unit.b, action, basic_list(0, 0xA), kWriteExclusive).status,
                  Status::kReservationConflict);
    }
    EXPECT_EQ(unit.reserve_out(unit.b, out::kRegisterAndMove, move_list(0, 1, unit.c.name)).status,
              Status::kReservationConflict);
    enroll(unit.b, 0xB);
    EXPECT_EQ(unit.reserve_out(unit.c, out::kRegisterAndIgnoreExistingKey, basic_list(7, 0xC)).status, Status::kGood);
}

TEST_F(PersistentReserve, UnknownServiceActionsAreRefused) {
    for (std::uint16_t action = out::kReplaceLostReservation; action < 0x20; ++action) {
        EXPECT_EQ(unit.reserve_out(unit.a, action, basic_list(0, 1)).sense_code(), SenseCode::kInvalidFieldInCdb);
    }
    for (std::uint8_t action = 4; action < 0x20; ++action) {
        EXPECT_EQ(unit.reserve_in(unit.a, action).sense_code(), SenseCode::kInvalidFieldInCdb);
    }
}

TEST_F(PersistentReserve, WrongTypesAndScopesAreRefused) {
    enroll(unit.a, 0xA);
    for (const int type : {0x00, 0x02, 0x04, 0x09, 0x0F, 0x11, 0x21}) {
        EXPECT_EQ(
            unit.reserve_out(unit.a, out::kReserve, basic_list(0xA, 0), static_cast<std::uint8_t>(type)).sense_code(),
            SenseCode::kInvalidFieldInCdb);
    }
    reserve(unit.a, 0xA, kWriteExclusive);
    EXPECT_EQ(unit.reserve_out(unit.a, out::kRelease, basic_list(0xA, 0), 0x11).sense_code(),
              SenseCode::kInvalidReleaseOfPersistentReservation);
}

TEST_F(PersistentReserve, TheParameterListHas24BytesUnlessItNamesPorts) {
    for (const std::size_t length : {0u, 8u, 23u, 25u, 28u}) {
        auto list = basic_list(0, 0xA);
        list.resize(length);
        EXPECT_EQ(unit.reserve_out(unit.a, out::kRegister, list).sense_code(), SenseCode::kParameterListLengthError);
    }
    // More in the CDB than is sent, and more than any list has.
    EXPECT_EQ(unit.submit(unit.a, {0x5F, 0, 0, 0, 0, 0, 0, 0, 24, 0}, std::vector<std::uint8_t>(8)).sense_code(),
              SenseCode::kParameterListLengthError);
    EXPECT_EQ(unit.submit(unit.a, {0x5F, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0}, basic_list(0, 1)).sense_code(),
              SenseCode::kParameterListLengthError);
    auto ports = list_with_ports(0xA, {unit.b.name.initiator});
    ports.push_back(0);
    EXPECT_EQ(unit.reserve_out(unit.a, out::kRegister, ports).sense_code(), SenseCode::kParameterListLengthError);
    auto move = move_list(0xA, 0xB, unit.b.name);
    move.pop_back();
    EXPECT_EQ(unit.reserve_out(unit.a, out::kRegisterAndMove, move).sense_code(), SenseCode::kParameterListLengthError);
    EXPECT_TRUE(state().registrations.empty());
}

TEST_F(PersistentReserve, NamedPortsAreRegisteredThroughThePortOfTheCommand) {
    const auto list = list_with_ports(0xA, {unit.b.name.initiator, unit.a.name.initiator});
    EXPECT_EQ(unit.reserve_out(unit.a, out::kRegister, list).status, Status::kGood);
    EXPECT_THAT(state().registrations, ElementsAre(testing::Pair(unit.a.name, 0xAu), testing::Pair(unit.b.name, 0xAu)));
}

TEST_F(PersistentReserve, NamedPortsAndAllTargetPortsMultiply) {
    const auto list = list_with_ports(0xA, {unit.b.name.initiator}, kPorts | kAllPorts);
    EXPECT_EQ(unit.reserve_out(unit.a, out::kRegister, list).status, Status::kGood);
    EXPECT_EQ(state().registrations.size(), 4u);
    EXPECT_TRUE(state().registrations.contains(unit.a2.name));
}

TEST_F(PersistentReserve, AnIscsiNameAloneRegistersThePortsThatAreKnownOfIt) {
    Nexus second{.name = {{spec::scsi::ProtocolIdentifier::kIscsi, "iqn.2026-01.test:b,i,0x000000000002"}, 1},
                 .index = 9,
                 .units = {}};
    unit.server.attach(second);
    const InitiatorPort name{spec::scsi::ProtocolIdentifier::kIscsi, "iqn.2026-01.test:b"};
    EXPECT_EQ(unit.reserve_out(unit.a, out::kRegister, list_with_ports(0xA, {name})).status, Status::kGood);
    EXPECT_TRUE(state().registrations.contains(unit.b.name));
    EXPECT_TRUE(state().registrations.contains(second.name));
    const InitiatorPort unknown{spec::scsi::ProtocolIdentifier::kIscsi, "iqn.2026-01.test:nobody"};
    EXPECT_EQ(unit.reserve_out(unit.c, out::kRegister, list_with_ports(0xC, {unknown})).sense_code(),
              SenseCode::kInvalidFieldInParameterList);
}

TEST_F(PersistentReserve, PortsAreNamedToRegisterOnly) {
    enroll(unit.a, 0xA);
    EXPECT_EQ(unit.reserve_out(unit.a, out::kClear, basic_list(0xA, 0, kPorts)).sense_code(),
              SenseCode::kInvalidFieldInParameterList);
    auto damaged = list_with_ports(0xB, {unit.c.name.initiator});
    damaged[28] = 0x0E;
    EXPECT_EQ(unit.reserve_out(unit.b, out::kRegister, damaged).sense_code(), SenseCode::kInvalidFieldInParameterList);
}

TEST_F(PersistentReserve, UnitAttentionsReachThoseThatTheyConcern) {
    enroll(unit.a, 0xA);
    enroll(unit.b, 0xB);
    reserve(unit.a, 0xA, kRegistrantsOnly);
    EXPECT_EQ(unit.reserve_out(unit.a, out::kRelease, basic_list(0xA, 0), kRegistrantsOnly).status, Status::kGood);
    EXPECT_EQ(unit.attention(unit.b), SenseCode::kReservationsReleased);
    EXPECT_EQ(unit.reserve_out(unit.a, out::kPreempt, basic_list(0xA, 0xB), kWriteExclusive).status, Status::kGood);
    EXPECT_EQ(unit.attention(unit.b), SenseCode::kRegistrationsPreempted);
    enroll(unit.b, 0xB);
    EXPECT_EQ(unit.reserve_out(unit.a, out::kClear, basic_list(0xA, 0)).status, Status::kGood);
    EXPECT_EQ(unit.submit(unit.b, {0, 0, 0, 0, 0, 0}).sense_code(), SenseCode::kReservationsPreempted);
    EXPECT_EQ(unit.attention(unit.a), std::nullopt);
    EXPECT_EQ(unit.attention(unit.c), std::nullopt);
}

// PREEMPT AND ABORT.

TEST_F(PersistentReserve, PreemptAndAbortIsAnsweredWhenTheTasksHaveEnded) {
    enroll(unit.a, 0xA);
    enroll(unit.b, 0xB);
    TestTask& write = unit.submit(unit.b, {operation::kWrite10, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    TestTask& other = unit.submit(unit.c, {operation::kWrite10, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    TestTask& preempt = unit.reserve_out(unit.a, out::kPreemptAndAbort, basic_list(0xA, 0xB), kWriteExclusive);
    EXPECT_FALSE(preempt.completed());
    EXPECT_FALSE(state().registrations.contains(unit.b.name)); // what is new conflicts already
    unit.server.good(write);
    EXPECT_TRUE(write.aborted);
    EXPECT_TRUE(preempt.completed());
    EXPECT_FALSE(preempt.aborted);
    EXPECT_EQ(preempt.status, Status::kGood);
    EXPECT_FALSE(other.completed());
    unit.server.good(other);
    EXPECT_FALSE(other.aborted);
}

TEST_F(PersistentReserve, PreemptAndAbortWithoutTasksIsAnsweredAtOnce) {
    enroll(unit.a, 0xA);
    enroll(unit.b, 0xB);
    EXPECT_TRUE(unit.reserve_out(unit.a, out::kPreemptAndAbort, basic_list(0xA, 0xB), kWriteExclusive).completed());
}

TEST_F(PersistentReserve, PreemptingOneselfAbortsEverythingOfOnesOwnButItself) {
    enroll(unit.a, 0xA);
    reserve(unit.a, 0xA, kWriteExclusive);
    TestTask& write = unit.submit(unit.a, {operation::kWrite10, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    TestTask& preempt = unit.reserve_out(unit.a, out::kPreemptAndAbort, basic_list(0xA, 0xA), kWriteExclusive);
    unit.server.good(write);
    EXPECT_TRUE(write.aborted);
    EXPECT_TRUE(preempt.completed());
    EXPECT_FALSE(preempt.aborted);
    EXPECT_TRUE(state().holds(unit.a.name));
}

TEST_F(PersistentReserve, PreemptWithoutAbortLetsTasksGoOn) {
    enroll(unit.a, 0xA);
    enroll(unit.b, 0xB);
    TestTask& write = unit.submit(unit.b, {operation::kWrite10, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    EXPECT_TRUE(unit.reserve_out(unit.a, out::kPreempt, basic_list(0xA, 0xB), kWriteExclusive).completed());
    unit.server.good(write);
    EXPECT_FALSE(write.aborted);
}

TEST_F(PersistentReserve, WhoPreventedSomethingIsKnownToBePreempted) {
    struct Observer final : UnitEvents {
        void nexus_preempted(const NexusName& nexus) override { preempted.push_back(nexus); }
        std::vector<NexusName> preempted;
    } observer;
    unit.server.add_observer(observer);
    enroll(unit.a, 0xA);
    enroll(unit.b, 0xB);
    unit.reserve_out(unit.a, out::kPreemptAndAbort, basic_list(0xA, 0xB), kWriteExclusive);
    EXPECT_THAT(observer.preempted, ElementsAre(unit.b.name));
}

// What survives.

TEST_F(PersistentReserve, ResetAndLossOfTheNexusChangeNothing) {
    enroll(unit.a, 0xA);
    reserve(unit.a, 0xA, kExclusiveAccess);
    unit.server.reset(SenseCode::kBusDeviceResetFunctionOccurred, [] {});
    unit.server.detach(unit.a, [] {});
    EXPECT_TRUE(state().holds(unit.a.name));
}

TEST_F(PersistentReserve, NothingIsSavedUntilItIsToPersist) {
    enroll(unit.a, 0xA);
    reserve(unit.a, 0xA, kExclusiveAccess);
    EXPECT_EQ(journal.saves, 0);
}

TEST_F(PersistentReserve, WhatPersistsIsSavedWithEveryChange) {
    enroll(unit.a, 0xA, kPersists);
    EXPECT_EQ(journal.saved, state());
    reserve(unit.a, 0xA, kExclusiveAccess);
    EXPECT_EQ(journal.saved, state());
    EXPECT_TRUE(journal.saved.reservation);
    enroll(unit.b, 0xB); // APTPL 0: from now on nothing persists
    EXPECT_EQ(journal.saved, PersistentReservationsState{});
    EXPECT_EQ(journal.saves, 3);
    reserve(unit.a, 0xA, kExclusiveAccess);
    EXPECT_EQ(journal.saves, 3);
}

TEST_F(PersistentReserve, AFailedSaveIsAHardwareErrorAndChangesNothing) {
    enroll(unit.a, 0xA, kPersists);
    const auto before = state();
    const auto generation = unit.commands.persistent().generation();
    journal.fails = true;
    TestTask& task = unit.reserve_out(unit.a, out::kReserve, basic_list(0xA, 0), kWriteExclusive);
    EXPECT_EQ(task.sense_key(), SenseKey::kHardwareError);
    EXPECT_EQ(task.sense_code(), SenseCode::kInternalTargetFailure);
    TestTask& second = unit.reserve_out(unit.a, out::kClear, basic_list(0xA, 0));
    EXPECT_EQ(second.sense_key(), SenseKey::kHardwareError);
    EXPECT_EQ(unit.commands.journal_failure()->kind, StoreError::Kind::kNotWritten);
    EXPECT_EQ(state(), before);
    EXPECT_EQ(unit.commands.persistent().generation(), generation);
    EXPECT_EQ(unit.attention(unit.b), std::nullopt);
}

TEST_F(PersistentReserve, AfterAFailedSaveTheNextOneWritesEvenWhatIsUnchanged) {
    enroll(unit.a, 0xA, kPersists);
    journal.fails = true;
    unit.reserve_out(unit.a, out::kClear, basic_list(0xA, 0));
    journal.fails = false;
    const int saves = journal.saves;
    EXPECT_EQ(unit.reserve_out(unit.a, out::kRegister, basic_list(0xA, 0xA, kPersists)).status, Status::kGood);
    EXPECT_EQ(journal.saves, saves + 1);
    EXPECT_FALSE(unit.commands.journal_failure());
}

TEST_F(PersistentReserve, WhatWasSavedIsThereAfterPowerOn) {
    enroll(unit.a, 0xA, kPersists);
    reserve(unit.a, 0xA, kExclusiveAccess);
    ReservedUnit again{{.target_ports = {1, 2}, .journal = &journal}};
    again.commands.restore(journal.saved);
    EXPECT_EQ(again.run(again.b, operation::kRead10), Status::kReservationConflict);
    EXPECT_EQ(again.run(again.a, operation::kRead10), Status::kGood);
    EXPECT_EQ(again.commands.persistent().generation(), 0u);
}

TEST_F(PersistentReserve, WithoutAJournalNothingMayPersist) {
    ReservedUnit volatile_unit{{.target_ports = {1, 2}}};
    EXPECT_EQ(volatile_unit.reserve_out(volatile_unit.a, out::kRegister, basic_list(0, 1, kPersists)).sense_code(),
              SenseCode::kInvalidFieldInParameterList);
    TestTask& task = volatile_unit.reserve_in(volatile_unit.a, in::kReportCapabilities);
    EXPECT_EQ(task.received()[2] & 1, 0);
}

// REGISTER AND MOVE.

TEST_F(PersistentReserve, MovingHandsTheReservationToThePortThatIsNamed) {
    enroll(unit.a, 0xA);
    reserve(unit.a, 0xA, kExclusiveAccess);
    constexpr std::uint8_t kUnregister = 0x02;
    EXPECT_EQ(unit.reserve_out(unit.a, out::kRegisterAndMove, move_list(0xA, 0xB, unit.b.name, kUnregister)).status,
              Status::kGood);
    EXPECT_EQ(unit.run(unit.b, operation::kRead10), Status::kGood);
    EXPECT_EQ(unit.run(unit.a, operation::kRead10), Status::kReservationConflict);
}

TEST_F(PersistentReserve, MovingToAPortThatIsNoneOrToMoreThanOneIsRefused) {
    enroll(unit.a, 0xA);
    reserve(unit.a, 0xA, kExclusiveAccess);
    EXPECT_EQ(
        unit.reserve_out(unit.a, out::kRegisterAndMove, move_list(0xA, 0xB, {unit.b.name.initiator, 77})).sense_code(),
        SenseCode::kInvalidFieldInParameterList);
    const InitiatorPort device{spec::scsi::ProtocolIdentifier::kIscsi, "iqn.2026-01.test:b"};
    EXPECT_EQ(unit.reserve_out(unit.a, out::kRegisterAndMove, move_list(0xA, 0xB, {device, 1})).sense_code(),
              SenseCode::kInvalidFieldInParameterList);
    EXPECT_TRUE(state().holds(unit.a.name));
}

// PERSISTENT RESERVE IN.

TEST_F(PersistentReserve, ReadKeysHasOneKeyForEachNexus) {
    enroll(unit.a, 0x0102030405060708);
    enroll(unit.b, 0xB);
    EXPECT_THAT(unit.reserve_in(unit.c, in::kReadKeys).received(),
                ElementsAreArray({0, 0, 0, 2, 0, 0, 0, 16, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0x0B}));
}

TEST_F(PersistentReserve, TheAllocationLengthCutsAndDoesNotChangeTheLengthFields) {
    enroll(unit.a, 0xA);
    EXPECT_THAT(unit.reserve_in(unit.a, in::kReadKeys, 8).received(), ElementsAreArray({0, 0, 0, 1, 0, 0, 0, 8}));
    EXPECT_EQ(unit.reserve_in(unit.a, in::kReadKeys, 0).status, Status::kGood);
}

TEST_F(PersistentReserve, ReadReservationHasTheHoldersKeyAndForAllRegistrantsNone) {
    EXPECT_THAT(unit.reserve_in(unit.a, in::kReadReservation).received(), ElementsAreArray({0, 0, 0, 0, 0, 0, 0, 0}));
    enroll(unit.a, 0xA);
    reserve(unit.a, 0xA, kExclusiveAccess);
    EXPECT_THAT(unit.reserve_in(unit.b, in::kReadReservation).received(),
                ElementsAreArray(
                    {0, 0, 0, 1, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0x0A, 0, 0, 0, 0, 0, int{kExclusiveAccess}, 0, 0}));
    unit.reserve_out(unit.a, out::kRelease, basic_list(0xA, 0), kExclusiveAccess);
    reserve(unit.a, 0xA, kAllRegistrants);
    const auto received = unit.reserve_in(unit.b, in::kReadReservation).received();
    EXPECT_EQ(load_number(received.subspan(8, 8)), 0u);
    EXPECT_EQ(received[21], kAllRegistrants);
}

TEST_F(PersistentReserve, CapabilitiesSayWhatThereIs) {
    EXPECT_THAT(unit.reserve_in(unit.a, in::kReportCapabilities).received(),
                ElementsAreArray({0, 8, 0x1D, 0x90, 0xEA, 0x01, 0, 0}));
    enroll(unit.a, 0xA, kPersists);
    EXPECT_EQ(unit.reserve_in(unit.a, in::kReportCapabilities).received()[3], 0x91);
}

TEST_F(PersistentReserve, FullStatusDescribesEachNexusAndItsTransportId) {
    enroll(unit.a2, 0xA);
    enroll(unit.b, 0xB);
    reserve(unit.b, 0xB, kExclusiveAccess);
    const auto received = unit.reserve_in(unit.a, in::kReadFullStatus).received();
    ASSERT_GE(received.size(), 8u + 24 + 24);
    EXPECT_EQ(load_number(received.subspan(4, 4)), received.size() - 8);
    const auto first = received.subspan(8);
    EXPECT_EQ(load_number(first.first(8)), 0xAu);
    EXPECT_EQ(first[12], 0);
    EXPECT_EQ(load_number(first.subspan(18, 2)), 2u);
    const auto id_length = load_number(first.subspan(20, 4));
    const auto id = decode_transport_id(first.subspan(24, id_length));
    ASSERT_TRUE(id);
    EXPECT_EQ(id->port, unit.a.name.initiator);
    const auto second = first.subspan(24 + id_length);
    EXPECT_EQ(load_number(second.first(8)), 0xBu);
    EXPECT_EQ(second[12], 1); // R_HOLDER
    EXPECT_EQ(second[13], kExclusiveAccess);
}

} // namespace
} // namespace touka::scsi
