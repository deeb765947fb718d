#include "scsi/disk/dirty_regions.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "scsi/disk/job.hpp"
#include "storage/memory_volume.hpp"

namespace touka::scsi {
namespace {

using storage::BlockStatus;
using Dirty = std::vector<std::uint64_t>;

Job begin(DirtyRegions& regions, BlockRange range, bool& ready) {
    Step<BlockStatus> beginning = regions.begin(range);
    ready = co_await beginning == BlockStatus::kOk;
}
Job flushed(DirtyRegions& regions, DirtyRegions::Snapshot snapshot) {
    Step<BlockStatus> unmarking = regions.after_flush(std::move(snapshot));
    (void)co_await unmarking;
}
Job load(storage::BlockDevice& file, Dirty& dirty) {
    DirtyRegions regions(file, 4096);
    Step<BlockStatus> loading = regions.load(dirty);
    (void)co_await loading;
}

class DirtyRegionsInAFile : public testing::Test {
protected:
    DirtyRegionsInAFile() { regions.set_region_blocks(100); }
    void write(BlockRange range, bool failed = false) {
        bool ready = false;
        begin(regions, range, ready);
        EXPECT_TRUE(ready);
        regions.end(range, failed);
    }
    void flush() { flushed(regions, regions.before_flush()); }
    Dirty found() {
        Dirty dirty;
        load(file, dirty);
        return dirty;
    }
    storage::MemoryVolume file{4096 + DirtyRegions::kMapBytes};
    DirtyRegions regions{file, 4096};
};

TEST(DirtyRegions, AreAsSmallAsTheMapAllows) {
    EXPECT_EQ(DirtyRegions::region_bytes(1 << 20), 1u << 20);
    for (const std::uint64_t size : {std::uint64_t{1} << 38, (std::uint64_t{1} << 38) + 512, std::uint64_t{1} << 62}) {
        const std::uint64_t region = DirtyRegions::region_bytes(size);
        EXPECT_LT((size - 1) / region, DirtyRegions::kMapBytes * 8);
        EXPECT_GE(size / region, DirtyRegions::kMapBytes * 2);
    }
}

TEST_F(DirtyRegionsInAFile, AreMarkedStableBeforeTheWriteAndOnlyOnce) {
    bool ready = false;
    file.held = true;
    begin(regions, {199, 2}, ready);
    EXPECT_FALSE(ready);
    EXPECT_TRUE(file.last_force_unit_access);
    file.complete_all();
    EXPECT_TRUE(ready);
    file.held = false;
    EXPECT_EQ(found(), (Dirty{1, 2}));
    regions.end({199, 2}, false);
    const std::size_t before = file.operations.size();
    write({100, 200});
    EXPECT_EQ(file.operations.size(), before);
}

TEST_F(DirtyRegionsInAFile, ASecondWriterWaitsForTheMarkToo) {
    bool first = false, second = false;
    file.held = true;
    begin(regions, {0, 1}, first);
    begin(regions, {1, 1}, second);
    EXPECT_EQ(file.in_flight(), 1u) << "one write of a sector at a time";
    file.complete_all();
    EXPECT_TRUE(first);
    EXPECT_FALSE(second);
    file.complete_all();
    EXPECT_TRUE(second);
}

TEST_F(DirtyRegionsInAFile, AreUnmarkedAfterFlushesWithoutAWrite) {
    write({0, 1});
    write({500, 1});
    for (unsigned i = 1; i < DirtyRegions::kFlushes; ++i) flush();
    EXPECT_EQ(found(), (Dirty{0, 5}));
    write({500, 1});
    flush();
    EXPECT_EQ(found(), Dirty{5});
}

TEST_F(DirtyRegionsInAFile, StayMarkedWhileAWriteIsUnderWayOrAfterOneThatFailed) {
    bool ready = false;
    begin(regions, {0, 1}, ready);
    write({100, 1}, true);
    for (unsigned i = 0; i < 2 * DirtyRegions::kFlushes; ++i) flush();
    EXPECT_EQ(found(), (Dirty{0, 1}));
}

TEST_F(DirtyRegionsInAFile, AFlushThatBeganBeforeAWriteDoesNotCountForIt) {
    write({0, 1});
    for (unsigned i = 1; i < DirtyRegions::kFlushes; ++i) flush();
    const auto before = regions.before_flush();
    write({0, 1});
    flushed(regions, before);
    EXPECT_EQ(found(), Dirty{0});
}

} // namespace
} // namespace touka::scsi
