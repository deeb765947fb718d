#include <gtest/gtest.h>

#include "scsi/disk/crc.hpp"
#include "scsi/disk/powered_disk.hpp"
#include "storage/memory_volume.hpp"

namespace touka::scsi {
namespace {

using namespace spec::scsi;
using storage::BlockStatus;

constexpr std::uint8_t kFuaFlag = 0x08;
const Bytes kCheckText{'1', '2', '3', '4', '5', '6', '7', '8', '9'};

TEST(Crc, HasThePublishedCheckValuesOfBothPolynomials) {
    EXPECT_EQ(GuardCrc::of(kCheckText), 0xD0DB);
    EXPECT_EQ(Crc64::of(kCheckText), 0x6C40'DF5F'0B49'7347u);
}

TEST(Crc, GoesOnFromWhatCameBeforeWhereverItIsCut) {
    const Bytes data = pattern(1, 3);
    const std::uint16_t whole = GuardCrc::of(data);
    const std::uint64_t whole64 = Crc64::of(data);
    for (std::size_t cut = 0; cut <= 64; ++cut) {
        const auto first = std::span(data).first(cut), rest = std::span(data).subspan(cut);
        EXPECT_EQ(GuardCrc::of(rest, GuardCrc::of(first)), whole);
        EXPECT_EQ(Crc64::of(rest, Crc64::of(first)), whole64);
    }
}

TEST(WriteAtomic, IsNotOfferedWithoutAJournal) {
    PoweredDisk bench({});
    EXPECT_EQ(bench.run(write_atomic(0, 1), pattern(1, 1)).sense_code(), SenseCode::kInvalidCommandOperationCode);
    const TestTask& limits = bench.run({operation::kInquiry, 1, 0xB0, 0, 64, 0});
    ASSERT_EQ(limits.received().size(), 64u);
    EXPECT_EQ(load_number(limits.received().subspan(44, 4)), 0u);
    EXPECT_EQ(load_number(limits.received().subspan(52, 4)), 0u);
}

TEST(WriteAtomic, TellsItsLimitsInBlocks) {
    PoweredDisk bench({.journal = true});
    const auto page = bench.run({operation::kInquiry, 1, 0xB0, 0, 64, 0}).received();
    ASSERT_EQ(page.size(), 64u);
    const std::array<std::uint64_t, 5> expected{2048, 1, 1, 0, 0};
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(load_number(page.subspan(44 + 4 * i, 4)), expected[i]);
}

TEST(WriteAtomic, WritesWhatItsLimitAllowsAndRefusesMore) {
    PoweredDisk bench({.journal = true});
    const Bytes data = pattern(2048, 5);
    EXPECT_TRUE(bench.good(write_atomic(7, 2048), data));
    EXPECT_EQ(bench.blocks(7, 2048), data);
    EXPECT_EQ(bench.run(write_atomic(0, 2049), pattern(2049, 1)).sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_EQ(bench.run(write_atomic(0, 8, 0, 8), pattern(8, 1)).sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_EQ(bench.run(write_atomic(4090, 7), pattern(7, 1)).sense_code(), SenseCode::kLogicalBlockAddressOutOfRange);
    EXPECT_EQ(bench.run(write_atomic(0, 8), pattern(7, 1)).sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_TRUE(bench.good(write_atomic(0, 0)));
    EXPECT_EQ(bench.blocks(7, 2048), data);
}

TEST(WriteAtomic, IsFoundWholeOrNotAtAllWhereverThePowerGoes) {
    const Bytes old = pattern(40, 1), news = pattern(40, 2);
    std::size_t times_old = 0, times_new = 0;
    for (std::uint32_t seed = 1; seed <= 16; ++seed) {
        for (std::size_t request = 1;; ++request) {
            PoweredDisk bench({.journal = true, .seed = seed});
            ASSERT_TRUE(bench.good(cdb16(operation::kWrite16, kFuaFlag, 3, 40), old));
            bench.power.fail_at(request);
            const bool acknowledged = bench.good(write_atomic(3, 40), news);
            if (acknowledged) {
                bench.restart();
                ASSERT_EQ(bench.blocks(3, 40), news);
                ASSERT_EQ(request, 5u); // read, journal, place, clear: four requests were cut
                break;
            }
            bench.restart();
            const Bytes found = bench.blocks(3, 40);
            ASSERT_TRUE(found == old || found == news) << "seed " << seed << ", request " << request;
            ++(found == old ? times_old : times_new);
            ASSERT_EQ(bench.unit->journal()->state(), AtomicJournal::State::kReady);
        }
    }
    EXPECT_GT(times_old, 0u);
    EXPECT_GT(times_new, 0u);
}

TEST(WriteAtomic, IsRecoveredAlsoWhenThePowerGoesAgainDuringRecovery) {
    const Bytes old = pattern(40, 1), news = pattern(40, 2);
    for (std::uint32_t seed = 1; seed <= 6; ++seed) {
        for (std::size_t again = 1; again <= 8; ++again) {
            PoweredDisk bench({.journal = true, .seed = seed});
            ASSERT_TRUE(bench.good(cdb16(operation::kWrite16, kFuaFlag, 3, 40), old));
            bench.power.fail_at(3); // in place, after the entry is stable
            ASSERT_FALSE(bench.good(write_atomic(3, 40), news));
            bench.unit.reset();
            bench.power.restore();
            bench.disk.lose_cache(false);
            bench.journal.lose_cache(false);
            bench.power.fail_at(again);
            bench.start();
            bench.restart();
            ASSERT_EQ(bench.blocks(3, 40), news) << "seed " << seed << ", request " << again;
        }
    }
}

TEST(WriteAtomic, IsNeverWrittenAgainOverWhatCameLater) {
    const Bytes first = pattern(40, 1), later = pattern(40, 2);
    for (std::uint32_t seed = 1; seed <= 6; ++seed) {
        PoweredDisk bench({.journal = true, .seed = seed});
        ASSERT_TRUE(bench.good(write_atomic(3, 40), first));
        ASSERT_TRUE(bench.good(cdb16(operation::kWrite16, kFuaFlag, 3, 40), later));
        bench.restart();
        ASSERT_EQ(bench.blocks(3, 40), later);
    }
}

TEST(WriteAtomic, GoesToItsDiskOnly) {
    PoweredDisk bench({.journal = true});
    bench.power.fail_at(3);
    ASSERT_FALSE(bench.good(write_atomic(3, 40), pattern(40, 2)));
    bench.power.restore();
    storage::Power power;
    storage::VolatileVolume other(PoweredDisk::kBlocks * 512, power);
    DiskOptions options;
    options.identity.serial = "2";
    options.atomic_journal = &bench.journal;
    DiskUnit unit(other, std::move(options));
    EXPECT_EQ(unit.journal()->state(), AtomicJournal::State::kForeign);
    EXPECT_EQ(other.bytes(), Bytes(PoweredDisk::kBlocks * 512));
    bench.restart(); // the entry is still there for its own disk
    EXPECT_EQ(bench.blocks(3, 40), pattern(40, 2));
}

/// Fails those requests that it is told to, at any time.
class FailingVolume final : public storage::BlockDevice {
public:
    explicit FailingVolume(storage::BlockDevice& below) : shown(below.geometry()), below_(below) {}
    [[nodiscard]] const storage::BlockGeometry& geometry() const override { return shown; }
    void submit(storage::BlockRequest& request) override {
        if (fails && fails(request)) return request.complete(BlockStatus::kNoSpace);
        below_.submit(request);
    }
    void commit() override { below_.commit(); }
    [[nodiscard]] std::size_t in_flight() const override { return below_.in_flight(); }

    std::function<bool(const storage::BlockRequest&)> fails;
    storage::BlockGeometry shown;

private:
    storage::BlockDevice& below_;
};

class WriteAtomicOnFaultyVolumes : public testing::Test {
protected:
    WriteAtomicOnFaultyVolumes() { start(); }
    void start() {
        unit.reset();
        DiskOptions options;
        options.identity.serial = "1";
        options.atomic_journal = &journal;
        unit = std::make_unique<DiskUnit>(disk, std::move(options));
        unit->unit().attach(nexus);
        run({0, 0, 0, 0, 0, 0});
    }
    TestTask& run(Bytes cdb, Bytes data = {}) {
        task.emplace(nexus, std::move(cdb), std::move(data));
        unit->unit().submit(*task);
        return *task;
    }

    storage::Power power;
    storage::VolatileVolume disk_below{PoweredDisk::kBlocks * 512, power};
    storage::VolatileVolume journal_below{2 * AtomicJournal::kSlotBytes, power};
    FailingVolume disk{disk_below}, journal{journal_below};
    Nexus nexus;
    std::unique_ptr<DiskUnit> unit;
    std::optional<TestTask> task;
};

TEST_F(WriteAtomicOnFaultyVolumes, PutsBackWhatWasThereWhenThePlaceRefuses) {
    run(write_atomic(3, 40), pattern(40, 1));
    int writes = 0;
    disk.fails = [&](const storage::BlockRequest& request) {
        return request.operation == storage::BlockOperation::kWrite && ++writes == 1;
    };
    EXPECT_EQ(run(write_atomic(3, 40), pattern(40, 2)).sense_code(), SenseCode::kSpaceAllocationFailedWriteProtect);
    EXPECT_EQ(writes, 2);
    EXPECT_EQ(unit->journal()->state(), AtomicJournal::State::kReady);
    start();
    EXPECT_EQ(unit->journal()->counters().recovered, 0u);
}

TEST_F(WriteAtomicOnFaultyVolumes, StopsTheDiskWhenNothingCanBePutBackAndGoesOnAtTheNextStart) {
    disk.fails = [](const storage::BlockRequest& request) {
        return request.operation == storage::BlockOperation::kWrite;
    };
    EXPECT_EQ(run(write_atomic(3, 40), pattern(40, 2)).status, Status::kCheckCondition);
    EXPECT_EQ(run(cdb16(operation::kRead16, 0, 0, 1)).sense_code(), SenseCode::kLogicalUnitFailure);
    disk.fails = nullptr;
    EXPECT_EQ(run(cdb16(operation::kWrite16, 0, 0, 1), pattern(1, 1)).sense_code(), SenseCode::kLogicalUnitFailure);
    start();
    EXPECT_EQ(unit->journal()->counters().recovered, 1u);
    TestTask& read = run(cdb16(operation::kRead16, 0, 3, 40));
    EXPECT_TRUE(std::ranges::equal(read.received(), pattern(40, 2)));
}

TEST_F(WriteAtomicOnFaultyVolumes, StopsTheDiskWhenAnEntryCannotBeCleared) {
    journal.fails = [](const storage::BlockRequest& request) { return request.length_bytes == 4096; };
    EXPECT_EQ(run(write_atomic(3, 40), pattern(40, 2)).status, Status::kCheckCondition);
    EXPECT_EQ(run(cdb16(operation::kWrite16, 0, 3, 40), pattern(40, 3)).sense_code(), SenseCode::kLogicalUnitFailure);
}

TEST_F(WriteAtomicOnFaultyVolumes, AReadOnlyDiskWithAnEntryThatIsMissingFails) {
    disk.shown.read_only = true;
    start();
    EXPECT_EQ(unit->journal()->state(), AtomicJournal::State::kReady);
    EXPECT_EQ(run(write_atomic(3, 40), pattern(40, 2)).sense_code(), SenseCode::kInvalidCommandOperationCode);
    disk.shown.read_only = false;
    start();
    disk.fails = [](const storage::BlockRequest& request) {
        return request.operation == storage::BlockOperation::kWrite;
    };
    run(write_atomic(3, 40), pattern(40, 2));
    disk.shown.read_only = true;
    start();
    EXPECT_EQ(run(cdb16(operation::kRead16, 0, 3, 40)).sense_code(), SenseCode::kLogicalUnitFailure);
}

TEST_F(WriteAtomicOnFaultyVolumes, LeavesAFileAloneThatIsNoJournal) {
    Bytes text(512, 'x');
    const iovec buffer{.iov_base = text.data(), .iov_len = text.size()};
    storage::BlockRequest request{.operation = storage::BlockOperation::kWrite,
                                  .offset_bytes = 0,
                                  .length_bytes = 512,
                                  .buffers = std::span(&buffer, 1),
                                  .complete = [](BlockStatus) {}};
    journal_below.submit(request);
    start();
    EXPECT_EQ(unit->journal()->state(), AtomicJournal::State::kForeign);
    EXPECT_EQ(journal_below.bytes()[0], 'x');
}

TEST(WriteAtomic, KeepsOthersOffItsBlocksUntilItIsDone) {
    storage::MemoryVolume disk(1 << 20), journal(AtomicJournal::kUsualFileBytes);
    DiskOptions options;
    options.identity.serial = "1";
    options.atomic_journal = &journal;
    DiskUnit unit(disk, std::move(options));
    Nexus nexus;
    unit.unit().attach(nexus);
    TestTask attention(nexus, {0, 0, 0, 0, 0, 0});
    unit.unit().submit(attention);
    journal.held = true;
    TestTask atomic(nexus, write_atomic(8, 16), pattern(16, 1));
    TestTask overlapping(nexus, cdb16(operation::kWrite16, 0, 10, 1), pattern(1, 2));
    TestTask cut(nexus, cdb16(operation::kRead16, 0, 8, 16), {}, 512);
    TestTask apart(nexus, cdb16(operation::kWrite16, 0, 24, 1), pattern(1, 2));
    for (TestTask* task : {&atomic, &overlapping, &cut, &apart}) unit.unit().submit(*task);
    EXPECT_TRUE(apart.completed());
    EXPECT_FALSE(overlapping.completed());
    EXPECT_FALSE(cut.completed());
    journal.complete_all(); // the entry
    EXPECT_FALSE(overlapping.completed());
    journal.complete_all(); // cleared
    EXPECT_TRUE(atomic.completed() && overlapping.completed() && cut.completed());
    EXPECT_EQ(std::memcmp(disk.bytes.data() + 10 * 512, pattern(1, 2).data(), 512), 0);
}

TEST(WriteAtomic, WaitsForAFreeSlotOfTheJournal) {
    storage::MemoryVolume disk(1 << 20), journal(AtomicJournal::kSlotBytes);
    DiskOptions options;
    options.identity.serial = "1";
    options.atomic_journal = &journal;
    DiskUnit unit(disk, std::move(options));
    Nexus nexus;
    unit.unit().attach(nexus);
    TestTask attention(nexus, {0, 0, 0, 0, 0, 0});
    unit.unit().submit(attention);
    journal.held = true;
    TestTask first(nexus, write_atomic(0, 4), pattern(4, 1)), second(nexus, write_atomic(8, 4), pattern(4, 2)),
        third(nexus, write_atomic(16, 4), pattern(4, 3));
    for (TestTask* task : {&first, &second, &third}) unit.unit().submit(*task);
    EXPECT_EQ(journal.in_flight(), 1u);
    for (int i = 0; i < 6; ++i) journal.complete_all();
    EXPECT_TRUE(first.completed() && second.completed() && third.completed());
    EXPECT_EQ(std::memcmp(disk.bytes.data() + 16 * 512, pattern(4, 3).data(), 4 * 512), 0);
}

TEST(WriteAtomic, TheUnitIsNotReadyBeforeTheJournalWasLookedAt) {
    storage::MemoryVolume disk(1 << 20), journal(AtomicJournal::kSlotBytes);
    journal.held = true;
    DiskOptions options;
    options.identity.serial = "1";
    options.atomic_journal = &journal;
    DiskUnit unit(disk, std::move(options));
    Nexus nexus;
    unit.unit().attach(nexus);
    TestTask attention(nexus, {0, 0, 0, 0, 0, 0}), early(nexus, {0, 0, 0, 0, 0, 0}), late(nexus, {0, 0, 0, 0, 0, 0});
    unit.unit().submit(attention);
    unit.unit().submit(early);
    EXPECT_EQ(early.sense_code(), SenseCode::kLogicalUnitBecomingReady);
    journal.complete_all();
    unit.unit().submit(late);
    EXPECT_EQ(late.status, Status::kGood);
}

} // namespace
} // namespace touka::scsi
