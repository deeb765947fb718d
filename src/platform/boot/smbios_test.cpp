#include "platform/boot/smbios.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <vector>

#include "platform/boot/memory_map.hpp"
#include "spec/boot/smbios.hpp"

namespace touka::platform::boot {
namespace {

using namespace spec::boot::smbios;

/// One structure as a reader finds it.
struct Found {
    std::vector<std::uint8_t> bytes;
    std::vector<std::string> strings;
};

class Smbios : public testing::Test {
protected:
    void SetUp() override { ASSERT_TRUE(write_smbios(*memory_, {"db1", "0.1.0"})); }
    EntryPoint entry_point() {
        EntryPoint entry{};
        std::memcpy(&entry, memory_->base() + kSmbiosArea.start.value, sizeof entry);
        return entry;
    }
    /// Walks the table as §6.1.3 says, to the end of its size.
    std::vector<Found> structures() {
        const auto entry = entry_point();
        const auto* at = reinterpret_cast<const char*>(memory_->base() + entry.StructureTableAddress);
        const auto* end = at + entry.StructureTableMaximumSize;
        std::vector<Found> all;
        while (at < end) {
            const auto length = static_cast<std::uint8_t>(at[1]);
            Found found{{at, at + length}, {}};
            for (at += length; *at != 0; at += found.strings.back().size() + 1) found.strings.emplace_back(at);
            at += found.strings.empty() ? 2 : 1;
            all.push_back(std::move(found));
        }
        EXPECT_EQ(at, end);
        return all;
    }
    std::unique_ptr<memory::GuestMemory> memory_ = memory::GuestMemory::create(2 << 20).value();
};

TEST_F(Smbios, HasAnEntryPointThatAddsUpToZero) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(memory_->base() + 0xF'0000);
    EXPECT_EQ(std::memcmp(bytes, "_SM3_", 5), 0);
    EXPECT_EQ(std::accumulate(bytes, bytes + sizeof(EntryPoint), 0u) & 0xFF, 0u);
}

TEST_F(Smbios, EndsWithTheEndOfTable) {
    const auto all = structures();
    ASSERT_EQ(all.size(), 4u);
    EXPECT_EQ(all.back().bytes[0], kTypeEndOfTable);
}

TEST_F(Smbios, NamesTheMakerTheProductAndTheMachine) {
    const auto system = structures()[1];
    EXPECT_EQ(system.bytes[0], kTypeSystem);
    EXPECT_EQ(system.strings, (std::vector<std::string>{"Touka", "Virtual Machine", "0.1.0", "db1"}));
}

TEST_F(Smbios, SaysThatItIsAVirtualMachine) {
    EXPECT_EQ(structures()[0].bytes[0x13] & kVirtualMachine, kVirtualMachine);
}

TEST_F(Smbios, DerivesTheUuidFromTheNameAlone) {
    EXPECT_EQ(make_uuid("db1"), make_uuid("db1"));
    EXPECT_NE(make_uuid("db1"), make_uuid("db2"));
    EXPECT_EQ(make_uuid("db1")[7] >> 4, 8);
    EXPECT_EQ(make_uuid("db1")[8] >> 6, 2);
    const auto system = structures()[1];
    EXPECT_TRUE(std::equal(system.bytes.begin() + 8, system.bytes.begin() + 24, make_uuid("db1").begin()));
}

TEST_F(Smbios, RefusesStringsThatDoNotFitItsArea) {
    EXPECT_FALSE(write_smbios(*memory_, {std::string(0x1'0000, 'n'), ""}));
}

} // namespace
} // namespace touka::platform::boot
