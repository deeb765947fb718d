#include "devices/nvme/reservations.hpp"

#include <gtest/gtest.h>

#include "spec/nvme/log_page.hpp"

namespace touka::devices::nvme {
namespace {

using namespace spec::nvme;
using Type = ReservationType;

HostIdentity host(std::uint8_t number) { return {{number}, 0xFFFF}; }

class NvmeReservations : public testing::Test {
protected:
    Status enrol(std::uint8_t number, std::uint64_t key) {
        return reservations_.register_key(host(number), kRegister, false, 0, {0, key}).status;
    }
    Reservations::Result acquire(std::uint8_t number, std::uint8_t action, Type type, std::uint64_t key,
                                 std::uint64_t other = 0) {
        return reservations_.acquire(host(number), action, type, {key, other});
    }
    void three_hosts() {
        for (std::uint8_t i = 1; i <= 3; ++i) ASSERT_EQ(enrol(i, i * 0x11u), Status::kSuccess);
    }

    Reservations reservations_;
};

TEST_F(NvmeReservations, RegisteringAgainNeedsTheSameKey) {
    EXPECT_EQ(enrol(1, 0x11), Status::kSuccess);
    EXPECT_EQ(enrol(1, 0x11), Status::kSuccess);
    EXPECT_EQ(enrol(1, 0x12), Status::kReservationConflict);
    EXPECT_EQ(reservations_.register_key(host(1), kReplaceKey, false, 0, {0x10, 0x12}).status,
              Status::kReservationConflict);
    EXPECT_EQ(reservations_.register_key(host(1), kReplaceKey, true, 0, {0x10, 0x12}).status, Status::kSuccess);
    EXPECT_EQ(reservations_.state().registrants[0].key, 0x12u);
    EXPECT_EQ(reservations_.register_key(host(2), kUnregister, true, 0, {0, 0}).status, Status::kReservationConflict);
    EXPECT_EQ(reservations_.state().generation, 3u);
}

TEST_F(NvmeReservations, EachTypeLetsInWhomItShould) {
    struct Case {
        Type type;
        bool registrant_reads, registrant_writes, stranger_reads, stranger_writes;
    };
    for (const Case& c : {Case{Type::kWriteExclusive, true, false, true, false},
                          Case{Type::kExclusiveAccess, false, false, false, false},
                          Case{Type::kWriteExclusiveRegistrantsOnly, true, true, true, false},
                          Case{Type::kExclusiveAccessRegistrantsOnly, true, true, false, false},
                          Case{Type::kWriteExclusiveAllRegistrants, true, true, true, false},
                          Case{Type::kExclusiveAccessAllRegistrants, true, true, false, false}}) {
        reservations_ = {};
        three_hosts();
        ASSERT_EQ(acquire(1, kAcquire, c.type, 0x11).status, Status::kSuccess);
        EXPECT_TRUE(reservations_.may_read(host(1)) && reservations_.may_write(host(1)));
        EXPECT_EQ(reservations_.may_read(host(2)), c.registrant_reads);
        EXPECT_EQ(reservations_.may_write(host(2)), c.registrant_writes);
        EXPECT_EQ(reservations_.may_read(host(9)), c.stranger_reads);
        EXPECT_EQ(reservations_.may_write(host(9)), c.stranger_writes);
    }
}

TEST_F(NvmeReservations, OneReservationAtATime) {
    three_hosts();
    EXPECT_EQ(acquire(9, kAcquire, Type::kWriteExclusive, 0).status, Status::kReservationConflict);
    EXPECT_EQ(acquire(1, kAcquire, Type::kWriteExclusive, 0x99).status, Status::kReservationConflict);
    EXPECT_EQ(acquire(1, kAcquire, static_cast<Type>(7), 0x11).status, Status::kInvalidField);
    EXPECT_EQ(acquire(1, kAcquire, Type::kWriteExclusive, 0x11).status, Status::kSuccess);
    EXPECT_EQ(acquire(1, kAcquire, Type::kWriteExclusive, 0x11).status, Status::kSuccess);
    EXPECT_EQ(acquire(1, kAcquire, Type::kExclusiveAccess, 0x11).status, Status::kReservationConflict);
    EXPECT_EQ(acquire(2, kAcquire, Type::kWriteExclusive, 0x22).status, Status::kReservationConflict);
}

TEST_F(NvmeReservations, ReleaseIsTheHoldersAndTellsThoseWhoHadAccess) {
    three_hosts();
    ASSERT_EQ(acquire(1, kAcquire, Type::kWriteExclusiveRegistrantsOnly, 0x11).status, Status::kSuccess);
    EXPECT_EQ(reservations_.release(host(2), kRelease, Type::kWriteExclusiveRegistrantsOnly, 0x22).status,
              Status::kSuccess); // nothing happens
    EXPECT_TRUE(reservations_.holds(host(1)));
    EXPECT_EQ(reservations_.release(host(1), kRelease, Type::kWriteExclusive, 0x11).status, Status::kInvalidField);
    const auto released = reservations_.release(host(1), kRelease, Type::kWriteExclusiveRegistrantsOnly, 0x11);
    EXPECT_EQ(released.status, Status::kSuccess);
    ASSERT_EQ(released.notices.size(), 2u);
    EXPECT_EQ(released.notices[0].type, kReservationReleased);
    EXPECT_FALSE(reservations_.holds(host(1)));
    EXPECT_EQ(reservations_.state().registrants.size(), 3u);
}

TEST_F(NvmeReservations, PreemptTakesOverFromTheHolderAndRemovesItsKey) {
    three_hosts();
    ASSERT_EQ(acquire(1, kAcquire, Type::kWriteExclusive, 0x11).status, Status::kSuccess);
    EXPECT_EQ(acquire(2, kPreempt, Type::kExclusiveAccess, 0x22, 0x99).status, Status::kReservationConflict);
    EXPECT_EQ(acquire(2, kPreempt, Type::kExclusiveAccess, 0x22, 0).status, Status::kInvalidField);
    const auto result = acquire(2, kPreempt, Type::kExclusiveAccess, 0x22, 0x11);
    EXPECT_EQ(result.status, Status::kSuccess);
    EXPECT_EQ(result.preempted, std::vector{host(1)});
    EXPECT_TRUE(reservations_.holds(host(2)));
    EXPECT_FALSE(reservations_.may_read(host(1)));
    EXPECT_EQ(reservations_.state().registrants.size(), 2u);
}

TEST_F(NvmeReservations, PreemptOfAnotherRegistrantLeavesTheReservationAlone) {
    three_hosts();
    ASSERT_EQ(acquire(1, kAcquire, Type::kWriteExclusive, 0x11).status, Status::kSuccess);
    EXPECT_EQ(acquire(2, kPreempt, Type::kExclusiveAccess, 0x22, 0x33).status, Status::kSuccess);
    EXPECT_TRUE(reservations_.holds(host(1)));
    EXPECT_EQ(reservations_.state().type, Type::kWriteExclusive);
}

TEST_F(NvmeReservations, AKeyOfZeroPreemptsAllRegistrantsWhenTheyAllHoldIt) {
    three_hosts();
    ASSERT_EQ(acquire(1, kAcquire, Type::kExclusiveAccessAllRegistrants, 0x11).status, Status::kSuccess);
    EXPECT_TRUE(reservations_.holds(host(3)));
    EXPECT_EQ(acquire(2, kPreempt, Type::kWriteExclusive, 0x22, 0).status, Status::kSuccess);
    EXPECT_EQ(reservations_.state().registrants.size(), 1u);
    EXPECT_TRUE(reservations_.holds(host(2)));
}

TEST_F(NvmeReservations, TheLastRegistrantTakesTheReservationAlong) {
    three_hosts();
    ASSERT_EQ(acquire(1, kAcquire, Type::kWriteExclusiveAllRegistrants, 0x11).status, Status::kSuccess);
    for (std::uint8_t i = 1; i <= 3; ++i) {
        EXPECT_EQ(reservations_.state().type, Type::kWriteExclusiveAllRegistrants);
        EXPECT_EQ(reservations_.register_key(host(i), kUnregister, false, 0, {i * 0x11u, 0}).status, Status::kSuccess);
    }
    EXPECT_EQ(reservations_.state().type, Type::kNone);
}

TEST_F(NvmeReservations, ClearTakesEverythingAndTellsEverybody) {
    three_hosts();
    ASSERT_EQ(acquire(1, kAcquire, Type::kWriteExclusive, 0x11).status, Status::kSuccess);
    const auto cleared = reservations_.release(host(3), kClear, Type::kNone, 0x33);
    EXPECT_EQ(cleared.status, Status::kSuccess);
    EXPECT_EQ(cleared.notices.size(), 2u);
    EXPECT_TRUE(reservations_.state().registrants.empty());
    EXPECT_TRUE(reservations_.may_write(host(9)));
}

} // namespace
} // namespace touka::devices::nvme
