// The registers, in the steps that Linux' driver takes.
#include "iommu/remapping_unit.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "iommu/test_unit.hpp"

namespace touka::iommu {
namespace {

using memory::DmaAccess;
using memory::Iova;
using spec::vtd::Offset;
namespace global = spec::vtd::global;

class RemappingUnitTest : public testing::Test {
protected:
    static constexpr RequesterId kFunction{0x0018};
    static constexpr std::uint64_t kIova = 0x1234'5000, kData = TestUnit::kData;

    void map_function(std::uint16_t domain = 1) {
        table_ = test_.set_context(kFunction, domain);
        test_.map(table_, kIova, kData);
    }
    [[nodiscard]] bool reaches(std::uint64_t iova) {
        return space_->translate(Iova{iova}, 1, DmaAccess::kRead).has_value();
    }
    [[nodiscard]] std::uint32_t status() { return test_.get(Offset::GSTS); }

    TestUnit test_;
    std::shared_ptr<RemappedSpace> space_ = test_.unit().add_requester(kFunction);
    std::uint64_t table_ = 0;
};

TEST_F(RemappingUnitTest, SaysWhatItCanDo) {
    EXPECT_EQ(test_.get(Offset::VER), 0x40u);
    EXPECT_EQ(test_.get_wide(Offset::CAP), 0x00D2'078C'226F'0606u);
    EXPECT_EQ(test_.get_wide(Offset::ECAP), 0x00F0'0FDFu);
    EXPECT_EQ(test_.get(Offset::CAP), 0x226F'0606u) << "halves of a register can be read alone";
    EXPECT_EQ(test_.unit().read(static_cast<unsigned>(Offset::CAP) + 4, 4), 0x00D2'078Cu);
    TestUnit caching({.caching_mode = true});
    EXPECT_EQ(caching.get_wide(Offset::CAP) & 0x80, 0x80u);
    TestUnit without({.interrupt_remapping = false});
    EXPECT_EQ(without.get_wide(Offset::ECAP) & 0x18, 0u);
}

TEST_F(RemappingUnitTest, TheRootTableIsTakenWhenItIsSet) {
    map_function();
    test_.set_wide(Offset::RTADDR, test_.root());
    EXPECT_EQ(test_.get_wide(Offset::RTADDR), test_.root());
    EXPECT_EQ(status(), 0u);
    test_.command(global::SRTP);
    EXPECT_EQ(status(), global::SRTP);
    test_.set_wide(Offset::RTADDR, 0); // not taken
    test_.command(global::TE);
    EXPECT_EQ(status(), global::SRTP | global::TE);
    EXPECT_TRUE(reaches(kIova));
    test_.set(Offset::GCMD, 0);
    EXPECT_EQ(status(), global::SRTP);
    EXPECT_FALSE(reaches(kIova));
    EXPECT_TRUE(reaches(kData));
}

TEST_F(RemappingUnitTest, HalvesOfARegisterAreWrittenAlone) {
    test_.set(Offset::RTADDR, 0x1234'5000);
    test_.unit().write(static_cast<unsigned>(Offset::RTADDR) + 4, 4, 0x1);
    EXPECT_EQ(test_.get_wide(Offset::RTADDR), 0x1'1234'5000u);
    test_.unit().write(static_cast<unsigned>(Offset::RTADDR), 2, 0xFFFF); // not an access that there is
    EXPECT_EQ(test_.get_wide(Offset::RTADDR), 0x1'1234'5000u);
}

TEST_F(RemappingUnitTest, TranslationIsOnWhenNoAccessOfBeforeIsUnderWay) {
    map_function();
    auto use = space_->use();
    test_.enable_translation();
    EXPECT_EQ(status() & global::TE, 0u);
    EXPECT_FALSE(reaches(kData)) << "who comes now is translated already";
    use.end();
    EXPECT_EQ(status() & global::TE, global::TE);
}

TEST(RemappingUnitSwitch, TheProcessorThatTurnsTranslationOnStandsUntilItIsOn) {
    TestUnit test({.longest_switch = std::chrono::seconds(60)});
    const auto space = test.unit().add_requester(RequesterId{0x0018});
    auto use = space->use();
    std::atomic<bool> returned{false};
    std::thread processor([&] {
        test.enable_translation();
        returned = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_FALSE(returned.load());
    use.end();
    processor.join();
    EXPECT_EQ(test.get(Offset::GSTS) & global::TE, global::TE);
}

TEST(RemappingUnitSwitch, ButNotForEver) {
    TestUnit test({.longest_switch = std::chrono::milliseconds(1)});
    const auto space = test.unit().add_requester(RequesterId{0x0018});
    const auto use = space->use();
    test.enable_translation();
    EXPECT_EQ(test.get(Offset::GSTS) & global::TE, 0u);
}

TEST_F(RemappingUnitTest, SwitchesShowWhatIsOn) {
    test_.command(global::QIE);
    test_.command(global::SIRTP);
    test_.command(global::IRE);
    test_.command(global::CFI);
    EXPECT_EQ(status(), global::QIE | global::SIRTP | global::IRE | global::CFI);
    test_.command(global::WBF); // nothing to flush
    EXPECT_EQ(status() & global::WBF, 0u);
    test_.set(Offset::GCMD, 0);
    EXPECT_EQ(status(), global::SIRTP);
}

TEST_F(RemappingUnitTest, AContextIsForgottenByItsCommand) {
    map_function(7);
    test_.enable_translation();
    EXPECT_TRUE(reaches(kIova));
    test_.store(test_.context_entry(kFunction), 0);
    EXPECT_TRUE(reaches(kIova)) << "kept until it is invalidated";
    const auto invalidate = [&](std::uint64_t granularity, std::uint64_t rest) {
        test_.set_wide(Offset::CCMD, std::uint64_t{1} << 63 | granularity << 61 | rest);
        const auto result = test_.get_wide(Offset::CCMD);
        EXPECT_EQ(result >> 63, 0u);
        return result >> 59 & 3;
    };
    EXPECT_EQ(invalidate(2, 6), 2u); // another domain
    EXPECT_TRUE(reaches(kIova));
    EXPECT_EQ(invalidate(3, 0x0019u << 16 | 7), 3u); // another function
    EXPECT_TRUE(reaches(kIova));
    EXPECT_EQ(invalidate(0, 0), 0u); // not a granularity
    EXPECT_TRUE(reaches(kIova));
    EXPECT_EQ(invalidate(3, std::uint64_t{3} << 32 | 0x001Bu << 16 | 7), 3u); // all functions of the device
    EXPECT_FALSE(reaches(kIova));
    map_function(7);
    EXPECT_TRUE(reaches(kIova)) << "what was not present is never kept";
    test_.store(test_.context_entry(kFunction), 0);
    EXPECT_EQ(invalidate(2, 7), 2u);
    EXPECT_FALSE(reaches(kIova));
}

TEST_F(RemappingUnitTest, PagesAreForgottenByTheIotlbCommand) {
    map_function(7);
    test_.enable_translation();
    EXPECT_TRUE(reaches(kIova));
    test_.store(test_.paging_entry(table_, kIova, 1), 0);
    const auto invalidate = [&](std::uint64_t granularity, std::uint64_t domain, std::uint64_t address = 0) {
        test_.set_wide(Offset::IVA, address);
        test_.set_wide(Offset::IOTLB, std::uint64_t{1} << 63 | granularity << 60 | domain << 32);
        const auto result = test_.get_wide(Offset::IOTLB);
        EXPECT_EQ(result >> 63, 0u);
        return result >> 57 & 3;
    };
    EXPECT_EQ(invalidate(0, 7), 0u);
    EXPECT_EQ(invalidate(2, 6), 2u);
    EXPECT_EQ(invalidate(3, 7, kIova + 0x1000), 3u);
    EXPECT_EQ(invalidate(3, 7, kIova | 19), 0u) << "more than MAMV";
    EXPECT_TRUE(reaches(kIova));
    EXPECT_EQ(invalidate(3, 7, (kIova & ~0xFFFFull) | 4), 3u);
    EXPECT_FALSE(reaches(kIova));
}

TEST_F(RemappingUnitTest, ARegisterInvalidationIsCompleteWhenUsesAreOver) {
    map_function();
    test_.enable_translation();
    auto use = space_->use();
    EXPECT_TRUE(reaches(kIova));
    test_.set_wide(Offset::IOTLB, std::uint64_t{9} << 60);
    EXPECT_EQ(test_.get_wide(Offset::IOTLB) >> 63, 1u);
    test_.set_wide(Offset::CCMD, std::uint64_t{5} << 61);
    EXPECT_EQ(test_.get_wide(Offset::CCMD) >> 63, 1u);
    test_.set_wide(Offset::CCMD, 0); // not while it is under way
    EXPECT_EQ(test_.get_wide(Offset::CCMD) >> 63, 1u);
    use.end();
    EXPECT_EQ(test_.get_wide(Offset::IOTLB) >> 63, 0u);
    EXPECT_EQ(test_.get_wide(Offset::CCMD) >> 63, 0u);
}

TEST_F(RemappingUnitTest, ResetLeavesAnIdentityAgain) {
    map_function();
    test_.enable_translation();
    test_.enable_queue();
    test_.command(global::SIRTP);
    test_.command(global::IRE);
    EXPECT_FALSE(reaches(kData));
    test_.unit().reset();
    EXPECT_EQ(status(), 0u);
    EXPECT_TRUE(reaches(kData));
    EXPECT_EQ(test_.get(Offset::FSTS), 0u);
    EXPECT_EQ(test_.get(Offset::FECTL), 0x8000'0000u);
    EXPECT_EQ(test_.get_wide(Offset::IQA), 0u);
}

TEST_F(RemappingUnitTest, SavedStateGoesOnElsewhere) {
    map_function();
    test_.enable_translation();
    test_.enable_queue();
    test_.command(global::SIRTP);
    test_.command(global::IRE);
    test_.set(Offset::FEDATA, 0x4021);
    EXPECT_FALSE(reaches(0x9000));
    auto use = space_->use();
    test_.submit(0x12); // IOTLB, global: waits for the use
    test_.submit_wait();
    const auto record = test_.unit().save();

    TestUnit other;
    std::memcpy(other.ram().base(), test_.ram().base(), TestUnit::kRamBytes);
    const auto space = other.unit().add_requester(kFunction);
    ASSERT_TRUE(other.unit().restore(record).has_value());
    EXPECT_EQ(other.unit().save().bytes, record.bytes);
    EXPECT_EQ(other.get(Offset::GSTS), status());
    EXPECT_TRUE(space->translate(Iova{kIova}, 1, DmaAccess::kRead).has_value());
    EXPECT_FALSE(space->translate(Iova{kData}, 1, DmaAccess::kRead).has_value());
    EXPECT_EQ(other.take_faults().size(), 2u);
    EXPECT_FALSE(other.wait_complete());
    other.unit().resume();
    EXPECT_TRUE(other.wait_complete()) << "nobody uses anything there";
}

TEST_F(RemappingUnitTest, DamagedStateIsRefused) {
    auto record = test_.unit().save();
    record.bytes.pop_back();
    EXPECT_EQ(test_.unit().restore(record).error(), migration::RestoreError::kDamaged);
    RemappingUnitState state;
    state.faults.next = 200;
    EXPECT_EQ(test_.unit().restore(migration::save_record("vtd", state)).error(), migration::RestoreError::kDamaged);
}

} // namespace
} // namespace touka::iommu
