#include "devices/virtio/vhost_user/mapped_memory.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

namespace touka::devices::virtio {
namespace {

using memory::DmaAccess;
using memory::Iova;

TEST(MappedMemory, ARegionThatIsRemovedStaysMappedWhileItIsUsed) {
    constexpr std::uint64_t kBytes = 0x4000;
    auto [file, mine] = SharedMapping::create("mapped-memory-test", kBytes).value();
    const spec::virtio::VhostUserMemoryRegion region{
        .guest_address = 0x1000, .size = kBytes, .user_address = 0x7000'0000, .mmap_offset = 0};
    MappedMemory memory;
    ASSERT_TRUE(memory.add(region, file));
    auto use = memory.use();
    const auto generation = memory.generation();
    const auto span = memory.translate(Iova{0x1000}, 16, DmaAccess::kWrite).value();
    ASSERT_TRUE(memory.remove(region));
    EXPECT_FALSE(memory.remove(region));
    EXPECT_FALSE(memory.translate(Iova{0x1000}, 16, DmaAccess::kWrite).has_value());
    EXPECT_NE(memory.generation(), generation);
    span[3] = std::byte{0x5A}; // a fault, if it was unmapped
    EXPECT_EQ(mine.bytes()[3], std::byte{0x5A});
    use.end();
    ASSERT_TRUE(memory.add(region, file)) << "and can come again";
    memory.clear();
    EXPECT_EQ(memory.region_count(), 0u);
}

TEST(MappedMemory, AFileThatBecameShorterIsMemoryNoMore) {
    const runtime::UniqueFd file(::memfd_create("unsealed", MFD_CLOEXEC));
    ASSERT_EQ(::ftruncate(file.get(), 0x2000), 0);
    MappedMemory memory;
    ASSERT_TRUE(memory.add({.guest_address = 0x1000, .size = 0x2000, .user_address = 0, .mmap_offset = 0}, file));
    const auto span = memory.translate(Iova{0x2000}, 16, DmaAccess::kWrite).value();
    ASSERT_EQ(::ftruncate(file.get(), 0x1000), 0);
    span[3] = std::byte{1};
    EXPECT_FALSE(memory.translate(Iova{0x1000}, 16, DmaAccess::kRead).has_value());
}

} // namespace
} // namespace touka::devices::virtio
