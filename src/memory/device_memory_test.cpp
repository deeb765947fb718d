#include "memory/device_memory.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace touka::memory {
namespace {

using spec::GuestAddress;
using spec::kPageSize;

class Engine final : public DeviceMemoryListener {
public:
    bool add_device_memory(const DeviceMemory& memory) override {
        if (full) return false;
        reached.push_back(memory.start.value);
        return true;
    }
    void remove_device_memory(const DeviceMemory& memory) override { std::erase(reached, memory.start.value); }
    bool full = false;
    std::vector<std::uint64_t> reached;
};

class DeviceMemoryTest : public testing::Test {
protected:
    static constexpr std::uint64_t kRam = 0x10'0000, kBar = 0xD000'0000;
    [[nodiscard]] DeviceMemory pages(std::uint64_t at, std::size_t count) {
        return {GuestAddress{at}, std::span(bytes_).first(count * kPageSize)};
    }
    void SetUp() override { map_.set_listener(&engine_); }

    alignas(4096) std::array<std::byte, 4 * kPageSize> bytes_{};
    std::array<RamRange, 1> ram_{RamRange{GuestAddress{0}, kRam, 0}};
    Engine engine_;
    DeviceMemoryMap map_{ram_};
};

TEST_F(DeviceMemoryTest, IsReachedUntilItIsRemoved) {
    ASSERT_TRUE(map_.add(pages(kBar, 2)));
    ASSERT_TRUE(map_.add(pages(kBar + 2 * kPageSize, 1)));
    EXPECT_EQ(engine_.reached, (std::vector<std::uint64_t>{kBar, kBar + 2 * kPageSize}));
    EXPECT_EQ(map_.mapped_bytes(), 3 * kPageSize);
    map_.remove(GuestAddress{kBar});
    map_.remove(GuestAddress{kBar}); // nobody is there
    EXPECT_EQ(engine_.reached, (std::vector<std::uint64_t>{kBar + 2 * kPageSize}));
    EXPECT_EQ(map_.mapped_bytes(), kPageSize);
}

TEST_F(DeviceMemoryTest, LiesNeitherOverRamNorOverAnotherDevices) {
    EXPECT_FALSE(map_.add(pages(kRam - kPageSize, 2)));
    EXPECT_TRUE(map_.add(pages(kRam, 1)));
    ASSERT_TRUE(map_.add(pages(kBar, 2)));
    for (const std::uint64_t at : {kBar - kPageSize, kBar, kBar + kPageSize}) {
        EXPECT_FALSE(map_.add(pages(at, 2))) << std::hex << at;
    }
    EXPECT_TRUE(map_.add(pages(kBar + 2 * kPageSize, 2)));
    EXPECT_FALSE(map_.add(pages(~std::uint64_t{0xFFF}, 2))) << "over the end of all addresses";
}

TEST_F(DeviceMemoryTest, IsWholePages) {
    EXPECT_FALSE(map_.add(pages(kBar + 0x800, 1)));
    EXPECT_FALSE(map_.add({GuestAddress{kBar}, std::span(bytes_).first(100)}));
    EXPECT_FALSE(map_.add({GuestAddress{kBar}, std::span(bytes_).subspan(0x800, kPageSize)}));
    EXPECT_FALSE(map_.add({GuestAddress{kBar}, {}}));
    EXPECT_TRUE(engine_.reached.empty());
}

TEST_F(DeviceMemoryTest, IsNotThereWhenNobodyMapsIt) {
    engine_.full = true;
    EXPECT_FALSE(map_.add(pages(kBar, 1)));
    engine_.full = false;
    map_.set_listener(nullptr);
    EXPECT_FALSE(map_.add(pages(kBar, 1)));
    EXPECT_EQ(map_.mapped_bytes(), 0u);
}

} // namespace
} // namespace touka::memory
