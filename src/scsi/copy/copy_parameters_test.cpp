#include "scsi/copy/copy_parameters.hpp"

#include <gmock/gmock.h>

#include "scsi/copy/copy_list_builder.hpp"

namespace touka::scsi {
namespace {

using spec::scsi::ListIdUsage;
using testing::SizeIs;

constexpr std::uint64_t kNaa = 0x3000'0000'0000'0001;

std::vector<std::uint8_t> plain() { return copy_list(7, {copy_target(kNaa)}, {{.count = 8, .destination_lba = 100}}); }

SenseCode error_of(const std::vector<std::uint8_t>& list) {
    const auto parsed = parse_copy_list(list);
    if (parsed) return SenseCode::kNoAdditionalSense;
    EXPECT_EQ(parsed.error().key, SenseKey::kIllegalRequest);
    return parsed.error().code;
}

TEST(CopyParameters, AListIsRead) {
    const auto list = parse_copy_list(copy_list(7, {copy_target(kNaa), copy_target(0, 4096)},
                                                {{.count_is_destinations = true,
                                                  .source = 1,
                                                  .destination = 2,
                                                  .count = 3,
                                                  .source_lba = 0x0102'0304'0506'0708,
                                                  .destination_lba = 5}},
                                                ListIdUsage::kDiscard));
    ASSERT_TRUE(list);
    EXPECT_EQ(list->identifier, 7);
    EXPECT_EQ(list->usage, ListIdUsage::kDiscard);
    ASSERT_THAT(list->targets, SizeIs(2));
    EXPECT_EQ(list->targets[0].naa, kNaa);
    EXPECT_EQ(list->targets[0].block_bytes, 512u);
    EXPECT_FALSE(list->targets[1].naa) << "NUL";
    ASSERT_THAT(list->segments, SizeIs(1));
    const CopySegment& segment = list->segments[0];
    EXPECT_TRUE(segment.count_is_destinations);
    EXPECT_EQ(segment.source, 1);
    EXPECT_EQ(segment.destination, 2);
    EXPECT_EQ(segment.count, 3);
    EXPECT_EQ(segment.source_lba, 0x0102'0304'0506'0708u);
    EXPECT_EQ(segment.destination_lba, 5u);
}

TEST(CopyParameters, EveryCutListIsALengthError) {
    const auto list = plain();
    for (std::size_t length = 0; length < list.size(); ++length) {
        EXPECT_EQ(error_of({list.begin(), list.begin() + static_cast<std::ptrdiff_t>(length)}),
                  SenseCode::kParameterListLengthError);
    }
    EXPECT_EQ(error_of(list), SenseCode::kNoAdditionalSense);
    auto cut_segment = list;
    cut_segment[11] = 27;
    EXPECT_EQ(error_of(cut_segment), SenseCode::kParameterListLengthError);
}

TEST(CopyParameters, TooManyDescriptorsAreToldApart) {
    using Targets = std::vector<std::vector<std::uint8_t>>;
    const Targets many(copy_limit::kTargets + 1, copy_target(kNaa));
    const std::vector<CopySegment> much(copy_limit::kSegments + 1);
    EXPECT_EQ(error_of(copy_list(1, many, {{}})), SenseCode::kTooManyTargetDescriptors);
    EXPECT_EQ(error_of(copy_list(1, {copy_target(kNaa)}, much)), SenseCode::kTooManySegmentDescriptors);
    EXPECT_EQ(error_of(copy_list(1, many, much)), SenseCode::kParameterListLengthError);
    const auto most =
        copy_list(1, Targets(copy_limit::kTargets, copy_target(kNaa)), std::vector<CopySegment>(copy_limit::kSegments));
    EXPECT_EQ(error_of(most), SenseCode::kNoAdditionalSense);
}

TEST(CopyParameters, DescriptorsThatAreNotKnownAreToldApart) {
    auto list = plain();
    list[16] = 0xE5;
    EXPECT_EQ(error_of(list), SenseCode::kUnsupportedTargetDescriptorTypeCode);
    list = plain();
    list[48] = 0x00;
    EXPECT_EQ(error_of(list), SenseCode::kUnsupportedSegmentDescriptorTypeCode);
    list = plain();
    list[51] = 23;
    EXPECT_EQ(error_of(list), SenseCode::kInvalidFieldInParameterList);
}

TEST(CopyParameters, FieldsOfHeaderAndTargetsAreChecked) {
    const auto with = [](std::size_t at, std::uint8_t value) {
        auto list = plain();
        list[at] = value;
        return parse_copy_list(list).error();
    };
    EXPECT_EQ(with(15, 1).code, SenseCode::kInlineDataLengthExceeded);
    EXPECT_EQ(with(1, 1 << 3).field->byte, 1) << "reserved usage";
    EXPECT_EQ(with(1, 3 << 3).field->byte, 0) << "an identifier that is not used";
    EXPECT_EQ(with(3, 16).field->byte, 2) << "half a target";
    EXPECT_EQ(with(23, 21).field->byte, 23) << "a designator that is too long";
    auto unused = plain();
    unused[0] = 0;
    unused[1] = 3 << 3;
    EXPECT_EQ(error_of(unused), SenseCode::kNoAdditionalSense);
}

TEST(CopyParameters, OtherDesignatorsNameNoUnitOfOurs) {
    for (const auto& [at, value] : {std::pair{20, 2}, std::pair{21, 1}, std::pair{21, 0x13}, std::pair{23, 7}}) {
        auto list = plain();
        list[static_cast<std::size_t>(at)] = static_cast<std::uint8_t>(value);
        const auto parsed = parse_copy_list(list);
        ASSERT_TRUE(parsed);
        EXPECT_FALSE(parsed->targets[0].naa);
    }
    auto tape = plain();
    tape[17] = 0x01;
    EXPECT_FALSE(parse_copy_list(tape)->targets[0].direct_access);
}

} // namespace
} // namespace touka::scsi
