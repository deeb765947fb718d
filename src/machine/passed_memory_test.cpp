#include "machine/passed_memory.hpp"

#include <gtest/gtest.h>

#include "devices/passthrough/test_transport.hpp"
#include "iommu/test_unit.hpp"

namespace touka::machine {
namespace {

using devices::passthrough::test::TestTransport;

class PassedMemoryTest : public testing::Test {
protected:
    iommu::TestUnit test_{{.caching_mode = true}};
    iommu::RecordingMsi msi_;
    TestTransport transport_;
};

TEST_F(PassedMemoryTest, IsAllRamWithoutAnIommu) {
    FunctionPaths paths(test_.ram(), msi_, nullptr);
    EXPECT_TRUE(paths.can_shadow());
    const auto memory = PassedMemory::grant("card", transport_, test_.ram(), paths.open());
    ASSERT_TRUE(memory);
    ASSERT_EQ(transport_.grants.size(), 1u);
    EXPECT_EQ(transport_.grants[0].length_bytes, iommu::TestUnit::kRamBytes);
}

TEST_F(PassedMemoryTest, IsWhatTheTablesMapAsPiecesOfRamsFile) {
    FunctionPaths paths(test_.ram(), msi_, &test_.unit());
    EXPECT_TRUE(paths.can_shadow());
    const iommu::RequesterId nobody{0xFFFF}; // until the card is in its slot
    test_.map(test_.set_context(nobody, 1), 0x7000'0000, iommu::TestUnit::kData, iommu::TestUnit::kRead);
    test_.enable_translation();
    const auto memory = PassedMemory::grant("card", transport_, test_.ram(), paths.open());
    ASSERT_TRUE(memory);
    ASSERT_EQ(transport_.grants.size(), 1u);
    const auto& grant = transport_.grants[0];
    EXPECT_EQ(grant.start.value, 0x7000'0000u);
    EXPECT_EQ(grant.length_bytes, 0x1000u);
    EXPECT_EQ(grant.file, test_.ram().fd());
    EXPECT_EQ(grant.file_offset, iommu::TestUnit::kData);
    EXPECT_TRUE(grant.readable);
    EXPECT_FALSE(grant.writable);
}

TEST_F(PassedMemoryTest, NeedsAUnitThatTellsOfChanges) {
    iommu::TestUnit silent;
    const FunctionPaths paths(silent.ram(), msi_, &silent.unit());
    EXPECT_FALSE(paths.can_shadow());
}

} // namespace
} // namespace touka::machine
