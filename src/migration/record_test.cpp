#include "migration/record.hpp"

#include <gtest/gtest.h>

namespace touka::migration {
namespace {

enum class Phase : std::uint8_t { kIdle, kBusy };

struct Inner {
    static constexpr std::uint16_t kVersion = 1;
    std::uint16_t a = 0;
    void describe(auto& archive) { archive(a); }
    bool operator==(const Inner&) const = default;
};

struct Sample {
    static constexpr std::uint16_t kVersion = 3;
    std::uint64_t number = 7;
    bool flag = false;
    Phase phase = Phase::kIdle;
    std::array<Inner, 2> pair{};
    std::vector<std::uint8_t> bytes;
    std::string text;
    std::optional<std::uint32_t> maybe;
    void describe(auto& archive) { archive(number, flag, phase, pair, bytes, text, maybe); }
    bool operator==(const Sample&) const = default;
};

Sample sample() {
    return {0x0102'0304'0506'0708, true, Phase::kBusy, {Inner{1}, Inner{2}}, {9, 8, 7}, "virtio", 0xAABB'CCDD};
}

TEST(Record, GivesBackWhatWasSaved) {
    const auto loaded = load_record<Sample>(save_record("sample", sample()));
    ASSERT_TRUE(loaded.has_value());
    EXPECT_EQ(*loaded, sample());
}

TEST(Record, IsLittleEndianWithoutPadding) {
    const Record record = save_record("inner", Inner{0x1234});
    EXPECT_EQ(record.bytes, (std::vector{std::byte{0x34}, std::byte{0x12}}));
}

TEST(Record, RefusesALayoutNewerThanItKnows) {
    Record record = save_record("sample", sample());
    record.version = Sample::kVersion + 1;
    EXPECT_EQ(load_record<Sample>(record).error(), RestoreError::kNewerVersion);
}

TEST(Record, RefusesEveryTruncationAndEveryExcess) {
    const Record whole = save_record("sample", sample());
    for (std::size_t length = 0; length < whole.bytes.size(); ++length) {
        Record cut = whole;
        cut.bytes.resize(length);
        EXPECT_EQ(load_record<Sample>(cut).error(), RestoreError::kDamaged) << length;
    }
    Record longer = whole;
    longer.bytes.push_back(std::byte{0});
    EXPECT_EQ(load_record<Sample>(longer).error(), RestoreError::kDamaged);
}

TEST(Record, DoesNotTrustALength) {
    ArchiveWriter writer;
    std::uint32_t count = 0xFFFF'FFFF;
    writer(count);
    const auto bytes = writer.take();
    ArchiveReader reader(bytes);
    std::vector<std::uint8_t> values;
    reader(values);
    EXPECT_FALSE(reader.complete());
    EXPECT_TRUE(values.empty());
}

} // namespace
} // namespace touka::migration
