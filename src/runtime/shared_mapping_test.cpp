#include "runtime/shared_mapping.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vector>

namespace touka::runtime {
namespace {

constexpr std::uint64_t kBytes = 0x4000;

UniqueFd unsealed_file(std::uint64_t length_bytes = kBytes) {
    UniqueFd file(::memfd_create("unsealed", MFD_CLOEXEC));
    EXPECT_EQ(::ftruncate(file.get(), static_cast<off_t>(length_bytes)), 0);
    return file;
}

TEST(SharedMapping, AFileThatIsNotSealedIsMappedOnlyWhereThatIsAskedFor) {
    const UniqueFd file = unsealed_file();
    EXPECT_EQ(SharedMapping::map(file, 0, kBytes).error(), MappingError::kNotSealed);
    const auto mapping = SharedMapping::map_unsealed(file, 0x1008, 0x1000).value();
    mapping.bytes()[3] = std::byte{0x5A};
    std::byte in_file{};
    ASSERT_EQ(::pread(file.get(), &in_file, 1, 0x100B), 1);
    EXPECT_EQ(in_file, std::byte{0x5A});
    EXPECT_FALSE(mapping.lost());
    EXPECT_EQ(SharedMapping::map_unsealed(file, 0x1000, kBytes).error(), MappingError::kOutOfFile);
}

TEST(SharedMapping, AFileThatBecomesShorterIsZerosAndLostAndOthersAreAsTheyWere) {
    const UniqueFd file = unsealed_file(), other_file = unsealed_file();
    const auto before = SharedMapping::map_unsealed(other_file, 0, kBytes).value();
    auto made = SharedMapping::map_unsealed(file, 0, kBytes).value();
    const auto mapping = std::move(made);
    const auto after = SharedMapping::map_unsealed(other_file, 0, kBytes).value();
    mapping.bytes()[0x1000] = before.bytes()[5] = std::byte{1};
    ASSERT_EQ(::ftruncate(file.get(), 0x1000), 0);
    EXPECT_FALSE(mapping.lost()) << "nobody looked yet";
    EXPECT_EQ(mapping.bytes()[0x1000], std::byte{0});
    EXPECT_TRUE(mapping.lost());
    mapping.bytes()[0x2000] = std::byte{2};
    EXPECT_FALSE(before.lost());
    EXPECT_FALSE(after.lost());
    EXPECT_EQ(after.bytes()[5], std::byte{1});
    EXPECT_FALSE(SharedMapping::map_unsealed(file, 0, 0x1000).value().lost()) << "a new mapping begins anew";
}

TEST(SharedMapping, AFileWhoseFileSystemMayKeepItsContentsBackIsRefused) {
    const UniqueFd file(::open("/proc/self/comm", O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(file);
    EXPECT_EQ(SharedMapping::map_unsealed(file, 0, 1).error(), MappingError::kNotMemory);
}

TEST(SharedMapping, LargePagesAreMappedAndLostAsAWhole) {
    constexpr std::uint64_t kLargePage = std::uint64_t{2} << 20;
    const UniqueFd file(::memfd_create("large", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB));
    if (!file) GTEST_SKIP() << "the host's kernel has no large pages";
    ASSERT_EQ(::ftruncate(file.get(), 4 * kLargePage), 0);
    const auto mapping = SharedMapping::map_unsealed(file, kLargePage + 0x1800, kLargePage).value();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(mapping.bytes().data()) % kLargePage, 0x1800u);
    ASSERT_EQ(::ftruncate(file.get(), 0), 0);
    mapping.bytes().back() = std::byte{1};
    EXPECT_TRUE(mapping.lost());
    EXPECT_EQ(mapping.bytes().front(), std::byte{0});
}

TEST(SharedMapping, ThereIsALimitToThoseThatMayBeLost) {
    const UniqueFd file = unsealed_file();
    std::vector<SharedMapping> all;
    while (auto mapping = SharedMapping::map_unsealed(file, 0, 1)) all.push_back(std::move(*mapping));
    EXPECT_EQ(all.size(), FleetingMemory::kLimit);
    all.pop_back();
    EXPECT_TRUE(SharedMapping::map_unsealed(file, 0, 1).has_value());
}

TEST(SharedMapping, AFaultOfSomethingElseIsStillTheEnd) {
    const UniqueFd file = unsealed_file();
    const auto watched = SharedMapping::map_unsealed(file, 0, kBytes).value();
    const auto touch_another = [&] {
        auto* const own =
            static_cast<volatile char*>(::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0));
        (void)!::ftruncate(file.get(), 0);
        own[0] = 1;
    };
    EXPECT_DEATH(touch_another(), "");
}

} // namespace
} // namespace touka::runtime
