#include "devices/passthrough/vfio/bar_window.hpp"

#include <gtest/gtest.h>
#include <linux/vfio.h>

#include <cstring>

#include "runtime/shared_mapping.hpp"

namespace touka::devices::vfio {
namespace {

using passthrough::RegionExtent;
using Extents = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

/// An answer of the kernel's: the head, then capabilities one after the other.
class Answer {
public:
    explicit Answer(std::uint64_t region_bytes, std::uint32_t flags = VFIO_REGION_INFO_FLAG_MMAP) {
        head_.flags = flags;
        head_.size = region_bytes;
        bytes_.resize(sizeof head_);
    }
    Answer& capability(std::uint16_t id, std::span<const std::uint64_t> words = {}) {
        const auto at = static_cast<std::uint32_t>(bytes_.size());
        if (last_ == 0) {
            head_.flags |= VFIO_REGION_INFO_FLAG_CAPS;
            head_.cap_offset = at;
        } else {
            std::memcpy(bytes_.data() + last_ + offsetof(vfio_info_cap_header, next), &at, sizeof at);
        }
        last_ = at;
        vfio_info_cap_header header{};
        header.id = id;
        header.version = 1;
        append(&header, sizeof header);
        append(words.data(), words.size_bytes());
        return *this;
    }
    Answer& sparse(const Extents& areas) {
        std::vector<std::uint64_t> words{areas.size()};
        for (const auto& [offset, length] : areas) words.insert(words.end(), {offset, length});
        return capability(VFIO_REGION_INFO_CAP_SPARSE_MMAP, words);
    }
    [[nodiscard]] Extents extents(std::size_t cut = 0) {
        std::memcpy(bytes_.data(), &head_, sizeof head_);
        Extents all;
        for (const RegionExtent& each : mappable_extents(std::span(bytes_).first(bytes_.size() - cut))) {
            all.emplace_back(each.offset, each.length_bytes);
        }
        return all;
    }
    void set_first_capability(std::uint32_t at) { head_.cap_offset = at; }

private:
    void append(const void* data, std::size_t count) {
        const auto* from = static_cast<const std::byte*>(data);
        bytes_.insert(bytes_.end(), from, from + count);
    }
    vfio_region_info head_{};
    std::vector<std::byte> bytes_;
    std::uint32_t last_ = 0;
};

TEST(VfioRegion, WithoutMoreToSayIsMappableAsAWhole) {
    EXPECT_EQ(Answer(0x4000).extents(), (Extents{{0, 0x4000}}));
    EXPECT_EQ(Answer(0x4000).capability(VFIO_REGION_INFO_CAP_MSIX_MAPPABLE).extents(), (Extents{{0, 0x4000}}));
    EXPECT_EQ(Answer(0x4000, VFIO_REGION_INFO_FLAG_READ).extents(), Extents{}) << "the kernel does not offer it";
    EXPECT_EQ(Answer(0x100).extents(), Extents{}) << "no whole page";
}

TEST(VfioRegion, IsMappableWhereItsSparseCapabilitySays) {
    EXPECT_EQ(Answer(0x8000).sparse({{0, 0x2000}, {0x4000, 0x1000}}).extents(),
              (Extents{{0, 0x2000}, {0x4000, 0x1000}}));
    Answer second(0x8000);
    second.capability(VFIO_REGION_INFO_CAP_MSIX_MAPPABLE).sparse({{0x1000, 0x1000}});
    EXPECT_EQ(second.extents(), (Extents{{0x1000, 0x1000}}));
    EXPECT_EQ(Answer(0x8000).sparse({}).extents(), Extents{});
}

TEST(VfioRegion, AreasThatCannotBeAreLeftOut) {
    Answer odd(0x8000);
    odd.sparse({{0x800, 0x1000},
                {0x1000, 0x800},
                {0x7000, 0x2000},
                {~0ull & ~0xFFFull, 0x1000},
                {0x6000, 0},
                {0x6000, 0x2000}});
    EXPECT_EQ(odd.extents(), (Extents{{0x6000, 0x2000}}));
}

TEST(VfioRegion, AnAnswerThatIsCutIsReadAsFarAsItGoes) {
    Answer cut(0x8000);
    cut.sparse({{0, 0x2000}, {0x4000, 0x1000}});
    EXPECT_EQ(cut.extents(1), (Extents{{0, 0x2000}}));
    EXPECT_EQ(cut.extents(40), Extents{});
    Answer circle(0x8000);
    circle.capability(7);
    circle.set_first_capability(0xFFFF'FFF0);
    EXPECT_EQ(circle.extents(), (Extents{{0, 0x8000}}));
    Answer loop(0x8000);
    loop.capability(7);
    loop.capability(7);
    EXPECT_EQ(loop.extents(), (Extents{{0, 0x8000}}));
}

TEST(VfioBarWindows, AreTheDevicesFileAtTheRegionsPlace) {
    const auto file = runtime::SharedMapping::create("device", 0x8000).value();
    const auto all = file.second.bytes();
    all[0x4008] = std::byte{0x42};
    const std::vector<RegionExtent> extents{{0, 0x1000}, {0x2000, 0x1000}};
    const auto windows = BarWindows::map(file.first, 0x4000, extents, true);
    ASSERT_NE(windows, nullptr);
    ASSERT_EQ(windows->areas().size(), 2u);
    EXPECT_EQ(windows->areas()[0].bytes[8], std::byte{0x42});
    EXPECT_EQ(windows->areas()[1].offset, 0x2000u);
    windows->areas()[1].bytes[0] = std::byte{0x43};
    EXPECT_EQ(all[0x6000], std::byte{0x43});
    EXPECT_EQ(BarWindows::map(runtime::UniqueFd(), 0, extents, true), nullptr);
}

} // namespace
} // namespace touka::devices::vfio
