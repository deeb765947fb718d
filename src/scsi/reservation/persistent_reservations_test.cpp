#include "scsi/reservation/persistent_reservations.hpp"

#include <gmock/gmock.h>

#include <array>
#include <random>

namespace touka::scsi {
namespace {

using enum ReservationType;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

constexpr std::array kAllTypes{kWriteExclusive,
                               kExclusiveAccess,
                               kWriteExclusiveRegistrantsOnly,
                               kExclusiveAccessRegistrantsOnly,
                               kWriteExclusiveAllRegistrants,
                               kExclusiveAccessAllRegistrants};

NexusName nexus(const std::string& initiator, RelativeTargetPort port = 1) {
    return {{spec::scsi::ProtocolIdentifier::kIscsi, "iqn.2026-01.test:" + initiator + ",i,0x000000000001"}, port};
}

const NexusName kA = nexus("a"), kB = nexus("b"), kC = nexus("c"), kStranger = nexus("stranger");
constexpr ReservationKey kKeyA = 0xAAAA, kKeyB = 0xBBBB, kKeyC = 0xCCCC;

bool is_conflict(const ReservationOutcome& outcome) { return !outcome && !outcome.error().sense; }

SenseCode code_of(const ReservationOutcome& outcome) {
    return !outcome && outcome.error().sense ? outcome.error().sense->code : SenseCode::kNoAdditionalSense;
}

class PersistentReservationsTest : public testing::Test {
protected:
    /// Succeeds and takes effect.
    ReservationChange done(const ReservationOutcome& outcome) {
        EXPECT_TRUE(outcome.has_value());
        if (!outcome) return {};
        model.apply(*outcome);
        return *outcome;
    }
    ReservationChange enroll(const NexusName& who, ReservationKey key) {
        return done(model.register_nexus(who, {.key = 0, .new_key = key}));
    }
    ReservationChange leave(const NexusName& who, ReservationKey key) {
        return done(model.register_nexus(who, {.key = key, .new_key = 0}));
    }
    void enroll_three() {
        enroll(kA, kKeyA);
        enroll(kB, kKeyB);
        enroll(kC, kKeyC);
    }

    PersistentReservations model;
};

// Conflicts.

struct Row {
    ReservationType type;
    // Conflicts with: reads and changes of a registered nexus, then of a stranger.
    bool registered_reads, registered_changes, stranger_reads, stranger_changes;
};
// SPC-5 §5.14.1 with SBC-4 table 13: a read is "allowed" below write exclusive types, and everything is for registrants
// of the four types that include them.
constexpr std::array<Row, 6> kConflicts{{{kWriteExclusive, false, true, false, true},
                                         {kExclusiveAccess, true, true, true, true},
                                         {kWriteExclusiveRegistrantsOnly, false, false, false, true},
                                         {kExclusiveAccessRegistrantsOnly, false, false, true, true},
                                         {kWriteExclusiveAllRegistrants, false, false, false, true},
                                         {kExclusiveAccessAllRegistrants, false, false, true, true}}};

TEST_F(PersistentReservationsTest, ConflictsAreThoseOfTheStandardForEveryTypeClassAndNexus) {
    using enum ReservationClass;
    for (const Row& row : kConflicts) {
        SCOPED_TRACE(static_cast<int>(row.type));
        model = PersistentReservations();
        enroll(kA, kKeyA);
        enroll(kB, kKeyB);
        done(model.reserve(kA, kKeyA, row.type));
        for (const ReservationClass command : {kExempt, kAllowed, kReads, kChanges}) {
            EXPECT_FALSE(model.conflicts(kA, command));
        }
        for (const NexusName& other : {kB, kStranger}) {
            EXPECT_FALSE(model.conflicts(other, kExempt));
            EXPECT_FALSE(model.conflicts(other, kAllowed));
        }
        EXPECT_EQ(model.conflicts(kB, kReads), row.registered_reads);
        EXPECT_EQ(model.conflicts(kB, kChanges), row.registered_changes);
        EXPECT_EQ(model.conflicts(kStranger, kReads), row.stranger_reads);
        EXPECT_EQ(model.conflicts(kStranger, kChanges), row.stranger_changes);
    }
}

TEST_F(PersistentReservationsTest, RegistrationsAloneConflictWithNothing) {
    enroll_three();
    EXPECT_FALSE(model.conflicts(kStranger, ReservationClass::kChanges));
}

TEST_F(PersistentReservationsTest, TheSameInitiatorThroughAnotherTargetPortIsAStranger) {
    enroll(kA, kKeyA);
    done(model.reserve(kA, kKeyA, kExclusiveAccess));
    EXPECT_TRUE(model.conflicts(nexus("a", 2), ReservationClass::kReads));
}

// REGISTER.

TEST_F(PersistentReservationsTest, RegisteringCountsTheGeneration) {
    enroll(kA, kKeyA);
    EXPECT_EQ(model.generation(), 1u);
    EXPECT_THAT(model.state().registrations, ElementsAre(Pair(kA, kKeyA)));
}

TEST_F(PersistentReservationsTest, RegisteringAgainReplacesTheKey) {
    enroll(kA, kKeyA);
    done(model.register_nexus(kA, {.key = kKeyA, .new_key = kKeyC}));
    EXPECT_THAT(model.state().registrations, ElementsAre(Pair(kA, kKeyC)));
    EXPECT_EQ(model.generation(), 2u);
}

TEST_F(PersistentReservationsTest, RegisteringWithAWrongKeyConflicts) {
    EXPECT_TRUE(is_conflict(model.register_nexus(kA, {.key = kKeyA, .new_key = kKeyA})));
    enroll(kA, kKeyA);
    EXPECT_TRUE(is_conflict(model.register_nexus(kA, {.key = kKeyB, .new_key = kKeyC})));
    EXPECT_TRUE(is_conflict(model.register_nexus(kA, {.key = 0, .new_key = kKeyC})));
}

TEST_F(PersistentReservationsTest, RegisteringNothingFromAStrangerIsGoodAndChangesNothing) {
    const auto change = done(model.register_nexus(kA, {.key = 0, .new_key = 0, .persists = true}));
    EXPECT_EQ(change.next, PersistentReservationsState{});
    EXPECT_EQ(model.generation(), 0u);
    done(model.register_nexus(kA, {.key = {}, .new_key = 0}));
    EXPECT_EQ(model.generation(), 0u);
}

TEST_F(PersistentReservationsTest, IgnoringTheExistingKeyRegistersReplacesAndUnregisters) {
    done(model.register_nexus(kA, {.key = {}, .new_key = kKeyA}));
    done(model.register_nexus(kA, {.key = {}, .new_key = kKeyB}));
    EXPECT_THAT(model.state().registrations, ElementsAre(Pair(kA, kKeyB)));
    done(model.register_nexus(kA, {.key = {}, .new_key = 0}));
    EXPECT_THAT(model.state().registrations, IsEmpty());
    EXPECT_EQ(model.generation(), 3u);
}

TEST_F(PersistentReservationsTest, SpecifiedInitiatorPortsAreRegisteredWithTheSendersKey) {
    done(model.register_nexus(kA, {.key = 0,
                                   .new_key = kKeyA,
                                   .names_initiators = true,
                                   .initiators = {kB.initiator, kC.initiator, kB.initiator}}));
    EXPECT_THAT(model.state().registrations, ElementsAre(Pair(kA, kKeyA), Pair(kB, kKeyA), Pair(kC, kKeyA)));
    EXPECT_EQ(model.generation(), 1u);
}

TEST_F(PersistentReservationsTest, ASpecifiedPortThatIsRegisteredAlreadyMakesAllOfItConflict) {
    enroll(kB, kKeyB);
    EXPECT_TRUE(is_conflict(model.register_nexus(
        kA, {.key = 0, .new_key = kKeyA, .names_initiators = true, .initiators = {kC.initiator, kB.initiator}})));
    EXPECT_THAT(model.state().registrations, ElementsAre(Pair(kB, kKeyB)));
}

TEST_F(PersistentReservationsTest, ARegisteredNexusMayNotSpecifyInitiatorPorts) {
    enroll(kA, kKeyA);
    for (const ReservationKey key : {ReservationKey{0}, kKeyB}) {
        EXPECT_EQ(code_of(model.register_nexus(kA, {.key = kKeyA, .new_key = key, .names_initiators = true})),
                  SenseCode::kInvalidFieldInParameterList);
    }
}

TEST_F(PersistentReservationsTest, AllTargetPortsRegistersOnEachAndUnregistersFromEach) {
    done(model.register_nexus(kA, {.key = 0, .new_key = kKeyA, .target_ports = {1, 2, 3}}));
    EXPECT_THAT(model.state().registrations,
                ElementsAre(Pair(kA, kKeyA), Pair(nexus("a", 2), kKeyA), Pair(nexus("a", 3), kKeyA)));
    done(model.register_nexus(kA, {.key = kKeyA, .new_key = 0, .target_ports = {1, 2, 3}}));
    EXPECT_THAT(model.state().registrations, IsEmpty());
}

TEST_F(PersistentReservationsTest, AllTargetPortsConflictsWhereAnotherKeyIsRegistered) {
    enroll(nexus("a", 2), kKeyB);
    EXPECT_TRUE(is_conflict(model.register_nexus(kA, {.key = 0, .new_key = kKeyA, .target_ports = {1, 2}})));
    enroll(kA, kKeyA);
    EXPECT_TRUE(is_conflict(model.register_nexus(kA, {.key = kKeyA, .new_key = 0, .target_ports = {1, 2}})));
    done(model.register_nexus(kA, {.key = {}, .new_key = kKeyC, .target_ports = {1, 2}}));
    EXPECT_THAT(model.state().registrations, ElementsAre(Pair(kA, kKeyC), Pair(nexus("a", 2), kKeyC)));
}

TEST_F(PersistentReservationsTest, MoreRegistrationsThanTheLimitAreRefusedAsAWhole) {
    model = PersistentReservations(2);
    enroll(kA, kKeyA);
    const auto outcome =
        model.register_nexus(kB, {.key = 0, .new_key = kKeyB, .names_initiators = true, .initiators = {kC.initiator}});
    EXPECT_EQ(code_of(outcome), SenseCode::kInsufficientRegistrationResources);
    EXPECT_EQ(code_of(model.register_nexus(kA, {.key = kKeyA, .new_key = kKeyA, .target_ports = {1, 2, 3}})),
              SenseCode::kInsufficientRegistrationResources);
    enroll(kB, kKeyB);
    EXPECT_EQ(code_of(model.register_nexus(kC, {.key = 0, .new_key = kKeyC})),
              SenseCode::kInsufficientRegistrationResources);
    done(model.reserve(kA, kKeyA, kWriteExclusive));
    EXPECT_EQ(code_of(model.register_and_move(kA, {.key = kKeyA, .new_key = kKeyC, .destination = kC})),
              SenseCode::kInsufficientRegistrationResources);
}

TEST_F(PersistentReservationsTest, TheLastRegisterDecidesWhetherThingsPersist) {
    done(model.register_nexus(kA, {.key = 0, .new_key = kKeyA, .persists = true}));
    EXPECT_TRUE(model.state().persists);
    done(model.reserve(kA, kKeyA, kWriteExclusive));
    EXPECT_TRUE(model.state().persists);
    enroll(kB, kKeyB);
    EXPECT_FALSE(model.state().persists);
}

// Unregistering.

TEST_F(PersistentReservationsTest, UnregisteringTheHolderReleasesAndOnlyRegistrantsOnlyTellsTheOthers) {
    for (const ReservationType type : kAllTypes) {
        SCOPED_TRACE(static_cast<int>(type));
        model = PersistentReservations();
        enroll_three();
        done(model.reserve(kA, kKeyA, type));
        const auto change = leave(kA, kKeyA);
        EXPECT_EQ(model.state().reservation.has_value(), is_all_registrants(type));
        if (type == kWriteExclusiveRegistrantsOnly || type == kExclusiveAccessRegistrantsOnly) {
            EXPECT_THAT(change.attentions, UnorderedElementsAre(Pair(kB, SenseCode::kReservationsReleased),
                                                                Pair(kC, SenseCode::kReservationsReleased)));
        } else {
            EXPECT_THAT(change.attentions, IsEmpty());
        }
    }
}

TEST_F(PersistentReservationsTest, UnregisteringAnotherThanTheHolderLeavesTheReservation) {
    enroll_three();
    done(model.reserve(kA, kKeyA, kWriteExclusiveRegistrantsOnly));
    EXPECT_THAT(leave(kB, kKeyB).attentions, IsEmpty());
    EXPECT_TRUE(model.state().holds(kA));
}

TEST_F(PersistentReservationsTest, TheLastRegistrantTakesAnAllRegistrantsReservationAlong) {
    enroll(kA, kKeyA);
    enroll(kB, kKeyB);
    done(model.reserve(kA, kKeyA, kExclusiveAccessAllRegistrants));
    leave(kA, kKeyA);
    EXPECT_TRUE(model.state().holds(kB));
    leave(kB, kKeyB);
    EXPECT_FALSE(model.state().reservation);
}

// RESERVE and RELEASE.

TEST_F(PersistentReservationsTest, ReservingNeedsARegistrationItsKeyAndAType) {
    EXPECT_TRUE(is_conflict(model.reserve(kA, kKeyA, kWriteExclusive)));
    enroll(kA, kKeyA);
    EXPECT_TRUE(is_conflict(model.reserve(kA, kKeyB, kWriteExclusive)));
    EXPECT_EQ(code_of(model.reserve(kA, kKeyA, std::nullopt)), SenseCode::kInvalidFieldInCdb);
}

TEST_F(PersistentReservationsTest, TheHolderMayReserveAgainAlikeAndNotOtherwise) {
    enroll_three();
    done(model.reserve(kA, kKeyA, kWriteExclusive));
    const std::uint32_t generation = model.generation();
    done(model.reserve(kA, kKeyA, kWriteExclusive));
    EXPECT_EQ(model.generation(), generation);
    EXPECT_TRUE(is_conflict(model.reserve(kA, kKeyA, kExclusiveAccess)));
    EXPECT_TRUE(is_conflict(model.reserve(kB, kKeyB, kWriteExclusive)));
}

TEST_F(PersistentReservationsTest, EveryRegistrantHoldsAnAllRegistrantsReservation) {
    enroll_three();
    done(model.reserve(kA, kKeyA, kWriteExclusiveAllRegistrants));
    done(model.reserve(kB, kKeyB, kWriteExclusiveAllRegistrants));
    EXPECT_TRUE(is_conflict(model.reserve(kB, kKeyB, kExclusiveAccessAllRegistrants)));
    done(model.release(kC, kKeyC, kWriteExclusiveAllRegistrants));
    EXPECT_FALSE(model.state().reservation);
}

TEST_F(PersistentReservationsTest, ReleasingTellsTheOtherRegistrantsOfTypesThatIncludeThem) {
    for (const ReservationType type : kAllTypes) {
        SCOPED_TRACE(static_cast<int>(type));
        model = PersistentReservations();
        enroll_three();
        done(model.reserve(kA, kKeyA, type));
        const std::uint32_t generation = model.generation();
        const auto change = done(model.release(kA, kKeyA, type));
        EXPECT_FALSE(model.state().reservation);
        EXPECT_EQ(model.generation(), generation);
        if (type == kWriteExclusive || type == kExclusiveAccess) {
            EXPECT_THAT(change.attentions, IsEmpty());
        } else {
            EXPECT_THAT(change.attentions, UnorderedElementsAre(Pair(kB, SenseCode::kReservationsReleased),
                                                                Pair(kC, SenseCode::kReservationsReleased)));
        }
    }
}

TEST_F(PersistentReservationsTest, ReleasingWhatOneDoesNotHoldIsGoodAndDoesNothing) {
    enroll_three();
    done(model.release(kA, kKeyA, kWriteExclusive));
    done(model.reserve(kA, kKeyA, kWriteExclusive));
    done(model.release(kB, kKeyB, kWriteExclusive));
    EXPECT_TRUE(model.state().holds(kA));
}

TEST_F(PersistentReservationsTest, ReleasingAnotherTypeOrWithAnotherKeyIsRefused) {
    enroll_three();
    done(model.reserve(kA, kKeyA, kWriteExclusive));
    for (const std::optional<ReservationType> type : {std::optional(kExclusiveAccess), {}}) {
        EXPECT_EQ(code_of(model.release(kA, kKeyA, type)), SenseCode::kInvalidReleaseOfPersistentReservation);
    }
    EXPECT_TRUE(is_conflict(model.release(kA, kKeyB, kWriteExclusive)));
    EXPECT_TRUE(is_conflict(model.release(kStranger, kKeyA, kWriteExclusive)));
}

// CLEAR.

TEST_F(PersistentReservationsTest, ClearingRemovesEverythingAndTellsTheOthers) {
    enroll_three();
    done(model.reserve(kA, kKeyA, kExclusiveAccess));
    EXPECT_TRUE(is_conflict(model.clear(kB, kKeyA)));
    EXPECT_TRUE(is_conflict(model.clear(kStranger, 0)));
    const auto change = done(model.clear(kB, kKeyB));
    EXPECT_THAT(change.attentions, UnorderedElementsAre(Pair(kA, SenseCode::kReservationsPreempted),
                                                        Pair(kC, SenseCode::kReservationsPreempted)));
    EXPECT_EQ(model.state(), PersistentReservationsState{});
    EXPECT_EQ(model.generation(), 4u);
}

// PREEMPT.

TEST_F(PersistentReservationsTest, PreemptingTheHolderTakesTheReservationOver) {
    enroll_three();
    done(model.reserve(kA, kKeyA, kWriteExclusive));
    const auto change = done(model.preempt(kB, kKeyB, kKeyA, kWriteExclusive));
    EXPECT_THAT(change.attentions, ElementsAre(Pair(kA, SenseCode::kRegistrationsPreempted)));
    EXPECT_THAT(change.preempted, ElementsAre(kA));
    EXPECT_TRUE(model.state().holds(kB));
    EXPECT_THAT(model.state().registrations, ElementsAre(Pair(kB, kKeyB), Pair(kC, kKeyC)));
    EXPECT_EQ(model.generation(), 4u);
}

TEST_F(PersistentReservationsTest, PreemptingIntoAnotherTypeTellsThoseThatStay) {
    enroll_three();
    done(model.reserve(kA, kKeyA, kWriteExclusive));
    const auto change = done(model.preempt(kB, kKeyB, kKeyA, kExclusiveAccess));
    EXPECT_THAT(change.attentions, UnorderedElementsAre(Pair(kA, SenseCode::kRegistrationsPreempted),
                                                        Pair(kC, SenseCode::kReservationsReleased)));
}

TEST_F(PersistentReservationsTest, PreemptingAnotherThanTheHolderOnlyRemovesRegistrations) {
    enroll_three();
    done(model.reserve(kA, kKeyA, kWriteExclusive));
    const auto change = done(model.preempt(kB, kKeyB, kKeyC, std::nullopt)); // SCOPE and TYPE are ignored
    EXPECT_THAT(change.attentions, ElementsAre(Pair(kC, SenseCode::kRegistrationsPreempted)));
    EXPECT_TRUE(model.state().holds(kA));
    EXPECT_FALSE(model.is_registered(kC));
}

TEST_F(PersistentReservationsTest, PreemptingWithoutReservationRemovesRegistrationsAndMakesNone) {
    enroll_three();
    const auto change = done(model.preempt(kA, kKeyA, kKeyB, kExclusiveAccess));
    EXPECT_THAT(change.attentions, ElementsAre(Pair(kB, SenseCode::kRegistrationsPreempted)));
    EXPECT_FALSE(model.state().reservation);
}

TEST_F(PersistentReservationsTest, PreemptingTheHolderNeedsAType) {
    enroll_three();
    done(model.reserve(kA, kKeyA, kWriteExclusive));
    EXPECT_EQ(code_of(model.preempt(kB, kKeyB, kKeyA, std::nullopt)), SenseCode::kInvalidFieldInCdb);
}

TEST_F(PersistentReservationsTest, PreemptingAKeyThatNobodyHasConflicts) {
    enroll_three();
    EXPECT_TRUE(is_conflict(model.preempt(kA, kKeyA, 0x1234, kWriteExclusive)));
    EXPECT_TRUE(is_conflict(model.preempt(kA, kKeyB, kKeyB, kWriteExclusive)));
    EXPECT_TRUE(is_conflict(model.preempt(kStranger, 0, kKeyB, kWriteExclusive)));
}

TEST_F(PersistentReservationsTest, KeyZeroPreemptsAllRegistrantsAndNothingElse) {
    enroll_three();
    EXPECT_EQ(code_of(model.preempt(kA, kKeyA, 0, kWriteExclusive)), SenseCode::kInvalidFieldInParameterList);
    done(model.reserve(kA, kKeyA, kWriteExclusiveAllRegistrants));
    const auto change = done(model.preempt(kB, kKeyB, 0, kExclusiveAccess));
    EXPECT_THAT(change.attentions, UnorderedElementsAre(Pair(kA, SenseCode::kRegistrationsPreempted),
                                                        Pair(kC, SenseCode::kRegistrationsPreempted)));
    EXPECT_THAT(model.state().registrations, ElementsAre(Pair(kB, kKeyB)));
    EXPECT_TRUE(model.state().holds(kB));
    EXPECT_EQ(model.state().reservation->type, kExclusiveAccess);
    EXPECT_EQ(code_of(model.preempt(kB, kKeyB, 0, kWriteExclusive)), SenseCode::kInvalidFieldInParameterList);
}

TEST_F(PersistentReservationsTest, AKeyUnderAnAllRegistrantsReservationRemovesItsRegistrationsAlone) {
    enroll_three();
    done(model.reserve(kA, kKeyA, kWriteExclusiveAllRegistrants));
    done(model.preempt(kB, kKeyB, kKeyA, kExclusiveAccess));
    EXPECT_EQ(model.state().reservation->type, kWriteExclusiveAllRegistrants);
    EXPECT_FALSE(model.is_registered(kA));
    EXPECT_TRUE(model.state().holds(kC));
}

TEST_F(PersistentReservationsTest, TheHolderMayPreemptItselfAndStaysRegistered) {
    enroll_three();
    done(model.reserve(kA, kKeyA, kWriteExclusive));
    const auto change = done(model.preempt(kA, kKeyA, kKeyA, kExclusiveAccessRegistrantsOnly));
    EXPECT_TRUE(model.is_registered(kA));
    EXPECT_TRUE(model.state().holds(kA));
    EXPECT_EQ(model.state().reservation->type, kExclusiveAccessRegistrantsOnly);
    EXPECT_THAT(change.attentions, UnorderedElementsAre(Pair(kB, SenseCode::kReservationsReleased),
                                                        Pair(kC, SenseCode::kReservationsReleased)));
    EXPECT_THAT(change.preempted, ElementsAre(kA));
}

TEST_F(PersistentReservationsTest, AnotherWithTheHoldersKeyPreemptsItAndKeepsItsRegistration) {
    enroll(kA, kKeyA);
    enroll(kB, kKeyA);
    done(model.reserve(kA, kKeyA, kWriteExclusive));
    const auto change = done(model.preempt(kB, kKeyA, kKeyA, kWriteExclusive));
    EXPECT_THAT(change.attentions, ElementsAre(Pair(kA, SenseCode::kRegistrationsPreempted)));
    EXPECT_THAT(model.state().registrations, ElementsAre(Pair(kB, kKeyA)));
    EXPECT_TRUE(model.state().holds(kB));
}

TEST_F(PersistentReservationsTest, RemovingOnesOwnRegistrationByKeyTellsOnlyTheOthers) {
    enroll(kA, kKeyA);
    enroll(kB, kKeyB);
    enroll(kC, kKeyB);
    const auto change = done(model.preempt(kB, kKeyB, kKeyB, kWriteExclusive));
    EXPECT_THAT(change.attentions, ElementsAre(Pair(kC, SenseCode::kRegistrationsPreempted)));
    EXPECT_THAT(model.state().registrations, ElementsAre(Pair(kA, kKeyA)));
}

// REGISTER AND MOVE.

TEST_F(PersistentReservationsTest, MovingRegistersTheDestinationAndHandsTheReservationOver) {
    enroll(kA, kKeyA);
    done(model.reserve(kA, kKeyA, kExclusiveAccess));
    done(model.register_and_move(kA, {.key = kKeyA, .new_key = kKeyB, .destination = kB}));
    EXPECT_TRUE(model.state().holds(kB));
    EXPECT_THAT(model.state().registrations, ElementsAre(Pair(kA, kKeyA), Pair(kB, kKeyB)));
    EXPECT_EQ(model.generation(), 2u);
}

TEST_F(PersistentReservationsTest, MovingWithUnregisterRemovesTheSender) {
    enroll_three();
    done(model.reserve(kA, kKeyA, kWriteExclusiveRegistrantsOnly));
    const auto change =
        done(model.register_and_move(kA, {.key = kKeyA, .new_key = 0x77, .destination = kB, .unregister = true}));
    EXPECT_THAT(model.state().registrations, ElementsAre(Pair(kB, 0x77u), Pair(kC, kKeyC)));
    EXPECT_TRUE(model.state().holds(kB));
    EXPECT_THAT(change.attentions, IsEmpty());
}

TEST_F(PersistentReservationsTest, OnlyTheHolderOfASingleReservationMayMoveIt) {
    const RegisterAndMoveRequest request{.key = kKeyA, .new_key = kKeyC, .destination = kC};
    EXPECT_TRUE(is_conflict(model.register_and_move(kA, request)));
    enroll(kA, kKeyA);
    EXPECT_TRUE(is_conflict(model.register_and_move(kA, request)));
    done(model.reserve(kA, kKeyA, kWriteExclusiveAllRegistrants));
    EXPECT_TRUE(is_conflict(model.register_and_move(kA, request)));
    done(model.release(kA, kKeyA, kWriteExclusiveAllRegistrants));
    enroll(kB, kKeyB);
    done(model.reserve(kB, kKeyB, kWriteExclusive));
    EXPECT_TRUE(is_conflict(model.register_and_move(kA, request)));
}

TEST_F(PersistentReservationsTest, MovingToOneselfOrWithKeyZeroIsRefused) {
    enroll(kA, kKeyA);
    done(model.reserve(kA, kKeyA, kWriteExclusive));
    EXPECT_EQ(code_of(model.register_and_move(kA, {.key = kKeyA, .new_key = 0, .destination = kB})),
              SenseCode::kInvalidFieldInParameterList);
    EXPECT_EQ(code_of(model.register_and_move(kA, {.key = kKeyA, .new_key = kKeyB, .destination = kA})),
              SenseCode::kInvalidFieldInParameterList);
    done(model.register_and_move(kA, {.key = kKeyA, .new_key = kKeyB, .destination = nexus("a", 2)}));
}

TEST_F(PersistentReservationsTest, RestoringStartsTheGenerationAnew) {
    enroll(kA, kKeyA);
    const PersistentReservationsState state = model.state();
    model.restore(state);
    EXPECT_EQ(model.generation(), 0u);
    EXPECT_EQ(model.state(), state);
}

// Anything in any order.

class RandomInitiators {
public:
    explicit RandomInitiators(std::uint32_t seed) : random_(seed) {}

    ReservationOutcome act(const PersistentReservations& model) {
        const NexusName sender = pick_nexus();
        // Mostly the right key, so that things happen.
        const auto registered = model.state().registrations.find(sender);
        const bool right = registered != model.state().registrations.end() && below(8) != 0;
        const ReservationKey key = right ? registered->second : below(4);
        const std::optional<ReservationType> type = reservation_type(static_cast<std::uint8_t>(below(10)));
        switch (below(9)) {
            case 0: return model.register_nexus(sender, {.key = key, .new_key = below(4), .persists = below(2) != 0});
            case 1: return model.register_nexus(sender, {.key = {}, .new_key = below(4), .target_ports = {1, 2}});
            case 2:
                return model.register_nexus(sender, {.key = key,
                                                     .new_key = below(4),
                                                     .names_initiators = below(4) != 0,
                                                     .initiators = {pick_nexus().initiator}});
            case 3:
            case 4: return model.reserve(sender, key, type);
            case 5:
                return model.release(sender, key, model.state().reservation ? model.state().reservation->type : type);
            case 6: return below(6) == 0 ? model.clear(sender, key) : model.preempt(sender, key, below(4), type);
            case 7: return model.preempt(sender, key, below(4), type);
            default:
                return model.register_and_move(
                    sender,
                    {.key = key, .new_key = below(4), .destination = pick_nexus(), .unregister = below(2) != 0});
        }
    }

private:
    std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }
    NexusName pick_nexus() {
        return nexus(std::string(1, static_cast<char>('a' + below(4))), static_cast<RelativeTargetPort>(1 + below(2)));
    }
    std::mt19937 random_;
};

void expect_consistent(const PersistentReservationsState& state) {
    EXPECT_LE(state.registrations.size(), 6u);
    for (const auto& [who, key] : state.registrations) EXPECT_NE(key, 0u);
    if (!state.reservation) return;
    if (is_all_registrants(state.reservation->type)) {
        EXPECT_FALSE(state.registrations.empty());
        EXPECT_EQ(state.reservation->holder, NexusName{});
    } else {
        EXPECT_TRUE(state.registrations.contains(state.reservation->holder));
    }
}

TEST(PersistentReservationsInvariants, HoldWhateverInitiatorsDo) {
    std::size_t successes = 0, reserved = 0;
    for (std::uint32_t seed = 1; seed <= 40; ++seed) {
        SCOPED_TRACE(seed);
        RandomInitiators initiators(seed);
        PersistentReservations model(6);
        for (int step = 0; step < 300; ++step) {
            const PersistentReservationsState before = model.state();
            const std::uint32_t generation = model.generation();
            const ReservationOutcome outcome = initiators.act(model);
            ASSERT_EQ(model.state(), before); // nothing happens before it is applied
            if (!outcome) continue;
            model.apply(*outcome);
            ++successes;
            if (model.state().reservation) ++reserved;
            expect_consistent(model.state());
            ASSERT_EQ(model.generation(), generation + (outcome->counts ? 1u : 0u));
            for (const auto& [told, code] : outcome->attentions) {
                ASSERT_TRUE(before.registrations.contains(told)) << "a stranger learns nothing";
                ASSERT_EQ(model.is_registered(told), code == SenseCode::kReservationsReleased);
            }
            if (testing::Test::HasFailure()) return;
        }
    }
    EXPECT_GT(successes, 3000u);
    EXPECT_GT(reserved, 1000u);
}

} // namespace
} // namespace touka::scsi
