// What a disk acknowledged is there after a loss of power, whatever else was under way.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "scsi/disk/powered_disk.hpp"

namespace touka::scsi {
namespace {

using namespace spec::scsi;
using namespace spec::scsi::operation;

constexpr std::uint8_t kFuaFlag = 0x08;

/// MODE SELECT(6) of the Caching page.
bool set_write_cache(PoweredDisk& disk, bool enabled) {
    Bytes list(4 + 20);
    list[4] = 0x08;
    list[5] = 18;
    list[6] = enabled ? 0x04 : 0;
    return disk.good({kModeSelect6, 0x10, 0, 0, 24, 0}, list);
}
Bytes twice(const Bytes& first, const Bytes& second) {
    Bytes both = first;
    both.insert(both.end(), second.begin(), second.end());
    return both;
}
Bytes unmap_list(std::uint64_t lba, std::uint32_t count) {
    Bytes list(24);
    store_number(std::span(list).first(2), 22);
    store_number(std::span(list).subspan(2, 2), 16);
    store_number(std::span(list).subspan(8, 8), lba);
    store_number(std::span(list).subspan(16, 4), count);
    return list;
}
const Bytes kUnmapCdb{kUnmap, 0, 0, 0, 0, 0, 0, 0, 24, 0};
const Bytes kZeros(4 * 512);

TEST(Durability, OfAPlainWriteBeginsWithSynchronizeCache) {
    PoweredDisk disk({});
    ASSERT_TRUE(disk.good(cdb16(kWrite16, 0, 0, 4), pattern(4, 1)));
    disk.restart(true);
    EXPECT_EQ(disk.blocks(0, 4), kZeros) << "else these tests show nothing";
    for (const Bytes& flush :
         {cdb16(kSynchronizeCache16, 0, 0, 0), Bytes{kSynchronizeCache10, 0, 0, 0, 0, 0, 0, 0, 1, 0}}) {
        ASSERT_TRUE(disk.good(cdb16(kWrite16, 0, 0, 4), pattern(4, 1)));
        ASSERT_TRUE(disk.good(flush));
        disk.restart(true);
        EXPECT_EQ(disk.blocks(0, 4), pattern(4, 1));
        ASSERT_TRUE(disk.good(cdb16(kWriteSame16, 0, 0, 4), Bytes(512)));
    }
}

TEST(Durability, OfWritesWithFua) {
    PoweredDisk disk({});
    EXPECT_TRUE(disk.good(cdb16(kWrite16, kFuaFlag, 0, 4), pattern(4, 1)));
    EXPECT_TRUE(disk.good({kWrite10, kFuaFlag, 0, 0, 0, 10, 0, 0, 4, 0}, pattern(4, 2)));
    EXPECT_TRUE(disk.good({kWrite12, kFuaFlag, 0, 0, 0, 20, 0, 0, 0, 4, 0, 0}, pattern(4, 3)));
    EXPECT_TRUE(disk.good(cdb32(service_action::kWrite32, kFuaFlag, 30, 4, 0), pattern(4, 4)));
    EXPECT_TRUE(disk.good(cdb16(kOrWrite16, kFuaFlag, 40, 4), pattern(4, 5)));
    EXPECT_TRUE(disk.good(cdb16(kCompareAndWrite, kFuaFlag, 50, 4), twice(kZeros, pattern(4, 6))));
    disk.restart(true);
    for (std::uint8_t i = 0; i < 6; ++i) {
        EXPECT_EQ(disk.blocks(i * 10u, 4), pattern(4, static_cast<std::uint8_t>(i + 1))) << i * 10;
    }
}

TEST(Durability, OfWriteAndVerifyAndWriteAtomicNeedsNoFua) {
    PoweredDisk disk({.journal = true});
    EXPECT_TRUE(disk.good(cdb16(kWriteAndVerify16, 0, 0, 4), pattern(4, 1)));
    EXPECT_TRUE(disk.good(cdb32(service_action::kWriteAndVerify32, 0x02, 10, 4, 0), pattern(4, 2)));
    EXPECT_TRUE(disk.good(write_atomic(20, 4), pattern(4, 3)));
    disk.restart(true);
    for (std::uint8_t i = 0; i < 3; ++i) {
        EXPECT_EQ(disk.blocks(i * 10u, 4), pattern(4, static_cast<std::uint8_t>(i + 1))) << i * 10;
    }
}

TEST(Durability, OfEverythingWithoutAWriteCache) {
    for (const bool enabled : {true, false}) { // with one, nothing of it
        PoweredDisk disk({});
        for (const unsigned lba : {50u, 60u}) ASSERT_TRUE(disk.good(cdb16(kWrite16, kFuaFlag, lba, 4), pattern(4, 9)));
        ASSERT_TRUE(set_write_cache(disk, enabled));
        ASSERT_TRUE(disk.good(cdb16(kWrite16, 0, 0, 4), pattern(4, 1)));
        ASSERT_TRUE(disk.good({kWrite6, 0, 0, 10, 4, 0}, pattern(4, 2)));
        ASSERT_TRUE(disk.good(cdb16(kWriteSame16, 0, 20, 4), pattern(1, 3)));
        ASSERT_TRUE(disk.good(cdb16(kOrWrite16, 0, 30, 4), pattern(4, 4)));
        ASSERT_TRUE(disk.good(cdb16(kCompareAndWrite, 0, 40, 4), twice(kZeros, pattern(4, 5))));
        ASSERT_TRUE(disk.good(cdb16(kWriteSame16, 0x08, 50, 4), Bytes(512)));
        ASSERT_TRUE(disk.good(kUnmapCdb, unmap_list(60, 4)));
        disk.restart(true);
        EXPECT_EQ(disk.blocks(0, 4) == pattern(4, 1), !enabled);
        EXPECT_EQ(disk.blocks(10, 4) == pattern(4, 2), !enabled);
        EXPECT_EQ(disk.blocks(23, 1) == pattern(1, 3), !enabled);
        EXPECT_EQ(disk.blocks(30, 4) == pattern(4, 4), !enabled);
        EXPECT_EQ(disk.blocks(40, 4) == pattern(4, 5), !enabled);
        EXPECT_EQ(disk.blocks(50, 4) == kZeros, !enabled);
        EXPECT_EQ(disk.blocks(60, 4) == kZeros, !enabled);
    }
}

TEST(Durability, OfFormatAndSanitizeNeedsNothingMore) {
    PoweredDisk disk({});
    ASSERT_TRUE(disk.good(cdb16(kWrite16, kFuaFlag, 0, 4), pattern(4, 1)));
    ASSERT_TRUE(disk.good({kFormatUnit, 0, 0, 0, 0, 0}));
    disk.restart(true);
    EXPECT_EQ(disk.blocks(0, 4), kZeros);
    ASSERT_TRUE(disk.good({kSanitize, 0x01, 0, 0, 0, 0, 0, 0, 5, 0}, {1, 0, 0, 1, 0xAB}));
    disk.restart(true);
    EXPECT_EQ(disk.blocks(4092, 4), Bytes(4 * 512, 0xAB));
}

/// A random workload whose power goes somewhere. For each block it knows what may be found afterwards: what was stable
/// last, and whatever has been written since.
class Workload {
public:
    Workload(PoweredDisk& disk, std::uint32_t seed, bool protect) : disk_(disk), random_(seed), protect_(protect) {
        for (auto& block : possible_) block = {0};
    }

    /// @return false when the power is gone.
    bool step() {
        const std::uint64_t lba = random_() % (kBlocks - 8);
        const auto count = static_cast<std::uint32_t>(1 + random_() % 8);
        const auto value = static_cast<std::uint8_t>(1 + random_() % 255);
        const auto fua = static_cast<std::uint8_t>(random_() % 2 == 0 ? kFuaFlag : 0);
        const std::uint8_t flags = protect_ ? 0x20 : 0;
        switch (random_() % 8) {
            case 0:
            case 1:
            case 2:
                return write(cdb16(kWrite16, flags | fua, lba, count), sent(lba, count, value), lba, count, value,
                             fua != 0);
            case 3:
                return write(cdb16(kWriteAndVerify16, flags, lba, count), sent(lba, count, value), lba, count, value,
                             true);
            case 4: return write(cdb16(kWriteSame16, flags, lba, count), sent(lba, 1, value), lba, count, value, false);
            case 5: return write(kUnmapCdb, unmap_list(lba, count), lba, count, 0, false);
            case 6:
                return write(write_atomic(lba, static_cast<std::uint16_t>(count), flags), sent(lba, count, value), lba,
                             count, value, true);
            default: break;
        }
        if (!disk_.good(cdb16(kSynchronizeCache16, 0, 0, 0))) return false;
        for (std::uint64_t block = 0; block < kBlocks; ++block) settle(block, current_[block]);
        return true;
    }
    /// After the restart.
    void check() {
        for (std::uint64_t block = 0; block < kBlocks; ++block) {
            const Bytes found = disk_.blocks(block, 1);
            ASSERT_EQ(found, Bytes(512, found[0]));
            ASSERT_TRUE(possible_[block].contains(found[0])) << "block " << block << " has " << unsigned{found[0]};
            if (!protect_) continue;
            const TestTask& read = disk_.run(cdb16(kRead16, 0x20, block, 1));
            ASSERT_EQ(read.status, Status::kGood) << "information of block " << block;
            if (possible_[block].size() != 1 || unsure_[block] || found[0] == 0) continue;
            ASSERT_EQ(load_number(read.received().subspan(514, 2)), 1u) << "information of block " << block;
        }
    }

private:
    static constexpr std::uint64_t kBlocks = 256;

    [[nodiscard]] Bytes sent(std::uint64_t lba, std::uint32_t count, std::uint8_t value) const {
        const Bytes data(count * std::size_t{512}, value);
        if (!protect_) return data;
        Bytes information(count * std::size_t{8}), mixed(count * std::size_t{520});
        make_protection(data, 512, {.type = ProtectionType::kType1, .reference = static_cast<std::uint32_t>(lba)}, 1,
                        information);
        mix_protection(data, information, 512, mixed);
        return mixed;
    }
    bool write(Bytes cdb, Bytes data, std::uint64_t lba, std::uint32_t count, std::uint8_t value, bool stable) {
        const bool good = disk_.good(std::move(cdb), std::move(data));
        for (std::uint64_t block = lba; block < lba + count; ++block) {
            if (good) current_[block] = value;
            if (good && stable) {
                settle(block, value);
            } else {
                possible_[block].insert(value);
                unsure_[block] = true;
            }
        }
        return good;
    }
    void settle(std::uint64_t block, std::uint8_t value) {
        possible_[block] = {value};
        unsure_[block] = false;
    }

    PoweredDisk& disk_;
    std::minstd_rand random_;
    bool protect_;
    std::array<std::set<std::uint8_t>, kBlocks> possible_;
    std::array<std::uint8_t, kBlocks> current_{};
    std::array<bool, kBlocks> unsure_{}; ///< written since it was stable, perhaps with the same
};

void run_workloads(std::optional<ProtectionType> protection) {
    for (std::uint32_t seed = 1; seed <= 25; ++seed) {
        PoweredDisk disk({.journal = true, .seed = seed, .protection = protection});
        Workload workload(disk, seed, protection.has_value());
        disk.power.fail_at(1 + seed * 17 % 250);
        while (workload.step()) {
        }
        disk.restart();
        workload.check();
        if (testing::Test::HasFatalFailure()) return;
    }
}

TEST(Durability, OfWhateverWasAcknowledgedInAnyOrderOfCommands) { run_workloads(std::nullopt); }
TEST(Durability, OfBlocksAndTheirProtectionInformation) { run_workloads(ProtectionType::kType1); }

} // namespace
} // namespace touka::scsi
