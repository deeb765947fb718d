#include "machine/passed_memory.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "devices/passthrough/test_transport.hpp"
#include "iommu/test_unit.hpp"

namespace touka::machine {
namespace {

using devices::passthrough::test::TestTransport;

/// A device that asks, as its agent has it.
class AskingDevice final : public devices::passthrough::TranslatingDevice {
public:
    void set_agent(devices::passthrough::TranslationAgent* told) override { agent = told; }
    void invalidate(std::span<const devices::passthrough::AddressExtent> extents, bool translated) override {
        const std::scoped_lock lock(mutex_);
        forgotten.insert(forgotten.end(), extents.begin(), extents.end());
        addresses_are_translated = translated;
    }
    devices::passthrough::TranslationAgent* agent = nullptr;
    std::vector<devices::passthrough::AddressExtent> forgotten; // when nothing is under way
    bool addresses_are_translated = false;

private:
    std::mutex mutex_;
};

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

TEST_F(PassedMemoryTest, IsAllRamAndAnswersForADeviceThatAsks) {
    iommu::TestUnit silent; // without caching mode
    FunctionPaths paths(silent.ram(), msi_, &silent.unit());
    const iommu::RequesterId nobody{0xFFFF};
    constexpr std::uint64_t kIova = 0x7000'0000;
    const auto table = silent.set_context(nobody, 1);
    silent.map(table, kIova, iommu::TestUnit::kData, iommu::TestUnit::kRead);
    silent.enable_translation();
    AskingDevice device;
    transport_.asks = &device;
    const auto memory = PassedMemory::grant("card", transport_, silent.ram(), paths.open());
    ASSERT_TRUE(memory && device.agent != nullptr);
    EXPECT_FALSE(memory->is_shadowed());
    ASSERT_EQ(transport_.grants.size(), 1u);
    EXPECT_EQ(transport_.grants[0].length_bytes, iommu::TestUnit::kRamBytes);
    const auto found = device.agent->translate(memory::Iova{kIova}, 0x1000);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].translated.value, iommu::TestUnit::kData);
    EXPECT_FALSE(found[0].writable);

    silent.store(silent.paging_entry(table, kIova, 1), 0);
    silent.enable_queue();
    silent.submit(2 | 1 << 4); // all translations
    silent.submit_wait();
    std::atomic_ref status(*reinterpret_cast<std::uint32_t*>(silent.ram().base() + iommu::TestUnit::kStatus));
    for (int i = 0; i < 5000 && status.load() != 5; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ASSERT_EQ(device.forgotten.size(), 1u);
    EXPECT_EQ(device.forgotten[0].first, kIova);
    EXPECT_FALSE(device.addresses_are_translated);
    memory->take_back();
    EXPECT_EQ(device.agent, nullptr);
}

TEST_F(PassedMemoryTest, ADeviceThatCouldAskDoesNotWithoutAnIommu) {
    FunctionPaths paths(test_.ram(), msi_, nullptr);
    AskingDevice device;
    transport_.asks = &device;
    const auto memory = PassedMemory::grant("card", transport_, test_.ram(), paths.open());
    ASSERT_TRUE(memory);
    EXPECT_EQ(device.agent, nullptr);
    EXPECT_FALSE(memory->is_shadowed());
}

} // namespace
} // namespace touka::machine
