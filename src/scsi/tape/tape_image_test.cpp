#include "scsi/tape/tape_image.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <numeric>

#include "scsi/tape/memory_tape_file.hpp"

namespace touka::scsi {
namespace {

using Contents = MemoryTapeFile::Contents;
using Bytes = std::vector<std::uint8_t>;

std::shared_ptr<Contents> empty_file() { return std::make_shared<Contents>(); }
std::shared_ptr<Contents> file_of(Bytes bytes) {
    auto contents = empty_file();
    contents->bytes = std::move(bytes);
    return contents;
}

std::expected<TapeImage, TapeLoadFailure> try_load(const std::shared_ptr<Contents>& contents) {
    return TapeImage::load(std::make_unique<MemoryTapeFile>(contents));
}
TapeImage load(const std::shared_ptr<Contents>& contents) {
    auto image = try_load(contents);
    EXPECT_TRUE(image.has_value()) << (image ? "" : image.error().text);
    return std::move(*image);
}

Bytes block(std::size_t length, std::uint8_t seed) {
    Bytes bytes(length);
    std::iota(bytes.begin(), bytes.end(), seed);
    return bytes;
}
void append(TapeImage& image, Bytes data) {
    const iovec vector{data.data(), data.size()};
    const auto appended = image.append_blocks(static_cast<std::uint32_t>(data.size()), 1, std::span(&vector, 1));
    EXPECT_EQ(appended.count, 1u);
}
void append_marks(TapeImage& image, std::uint64_t count = 1) { EXPECT_EQ(image.append_filemarks(count).count, count); }

/// A reader of the format that shares nothing with the image's code: blocks, and "-" for tape marks.
std::vector<std::string> read_simh(const Bytes& file) {
    std::vector<std::string> objects;
    const auto word = [&](std::size_t at) {
        unsigned long value = 0;
        for (int i = 3; i >= 0; --i) value = value * 256 + file.at(at + static_cast<std::size_t>(i));
        return value;
    };
    for (std::size_t at = 0; at < file.size();) {
        const unsigned long length = word(at);
        at += 4;
        if (length == 0xFFFFFFFFul) break;
        if (length == 0) {
            objects.emplace_back("-");
            continue;
        }
        objects.emplace_back(file.begin() + static_cast<long>(at), file.begin() + static_cast<long>(at + length));
        at += length + length % 2;
        EXPECT_EQ(word(at), length);
        at += 4;
    }
    return objects;
}
std::string text(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

TEST(TapeImage, AnotherReaderOfTheFormatFindsWhatWasWritten) {
    const auto contents = empty_file();
    TapeImage image = load(contents);
    append(image, block(7, 1));
    append_marks(image);
    append(image, block(4, 9));
    append_marks(image, 2);
    ASSERT_TRUE(image.synchronize().has_value());
    EXPECT_EQ(read_simh(contents->stable),
              (std::vector<std::string>{text(block(7, 1)), "-", text(block(4, 9)), "-", "-"}));
}

TEST(TapeImage, ATapeThatAnotherProgramWroteIsRead) {
    // Block "abc", tape mark, erase gap, half a gap, a bad record of two bytes, end of medium, remains of older data.
    const auto contents =
        file_of({3,    0,    0,    0,    'a',  'b',  'c',  0,    3,    0,    0, 0, // a block of an odd length
                 0,    0,    0,    0,                                              // a tape mark
                 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE, 0xFF, 0xFF, 0xFF,       // gap, half a gap, gap
                 2,    0,    0,    0x80, 'x',  'y',  2,    0,    0,    0x80,       // a bad record
                 0xFF, 0xFF, 0xFF, 0xFF, 7,    7,    7});                          // the end, and older data
    TapeImage image = load(contents);
    ASSERT_EQ(image.index().count(), 3u);
    EXPECT_EQ(image.index().object(1).control_word, 0u);
    EXPECT_EQ(image.index().object(2).control_word, 0x8000'0002u);
    EXPECT_EQ(image.torn_bytes(), 0u);
    std::array<char, 3> data{};
    const iovec vector{data.data(), data.size()};
    ASSERT_TRUE(image.read(0, std::span(&vector, 1)).has_value());
    EXPECT_EQ(std::string(data.data(), 3), "abc");
}

TEST(TapeImage, LoadingReadsControlWordsAndNoData) {
    const auto contents = empty_file();
    TapeImage image = load(contents);
    for (int i = 0; i < 20; ++i) append(image, block(1'000'000, 3));
    ASSERT_TRUE(image.synchronize().has_value());
    contents->bytes_read = 0;
    EXPECT_EQ(load(contents).index().count(), 20u);
    EXPECT_LT(contents->bytes_read, 200'000u);
}

/// Two whole objects and one that loses its end, at every byte of it.
class TornTail : public testing::TestWithParam<bool> {};

TEST_P(TornTail, IsCutToTheLastWholeObject) {
    const auto contents = empty_file();
    TapeImage image = load(contents);
    append(image, block(5, 1));
    append_marks(image);
    ASSERT_TRUE(image.synchronize().has_value());
    const std::uint64_t whole = image.index().end_bytes();
    append(image, block(9, 0xF0));
    const Bytes full = contents->bytes;
    for (std::uint64_t size = whole; size < full.size(); ++size) {
        const auto torn = file_of(Bytes(full.begin(), full.begin() + static_cast<long>(size)));
        // The length may have reached the disk before the contents.
        if (GetParam() && size > whole) torn->bytes.resize(full.size() + 1000);
        if (GetParam() && size > full.size() - 4) continue; // zeros are what should be there
        TapeImage loaded = load(torn);
        ASSERT_EQ(loaded.index().count(), 2u) << size;
        EXPECT_EQ(loaded.torn_bytes(), torn->bytes.size() - whole) << size;
        append(loaded, block(3, 7));
        ASSERT_TRUE(loaded.synchronize().has_value());
        EXPECT_EQ(torn->bytes.size(), whole + 12 + 4); // nothing of the torn object is behind the end marker
        EXPECT_EQ(read_simh(torn->bytes), (std::vector<std::string>{text(block(5, 1)), "-", text(block(3, 7))}));
    }
    EXPECT_EQ(load(file_of(full)).index().count(), 3u);
}
INSTANTIATE_TEST_SUITE_P(WithAndWithoutZeros, TornTail, testing::Bool());

TEST(TapeImage, APageOfZerosAtTheEndIsNoRunOfFilemarks) {
    const auto contents = empty_file();
    TapeImage image = load(contents);
    append(image, block(8, 1));
    const std::uint64_t whole = contents->bytes.size();
    contents->bytes.resize(whole + 8192);
    const TapeImage loaded = load(contents);
    EXPECT_EQ(loaded.index().count(), 1u);
    EXPECT_EQ(loaded.torn_bytes(), 8192u);
}

TEST(TapeImage, AsManyFilemarksAsInAPageStayWhenTheyWereSynchronized) {
    const auto contents = empty_file();
    TapeImage image = load(contents);
    append_marks(image, 10'000);
    ASSERT_TRUE(image.synchronize().has_value());
    EXPECT_EQ(load(contents).index().filemark_count(), 10'000u);
}

TEST(TapeImage, DifferentLengthsAroundARecordInTheMiddleAreAnErrorThatSaysWhere) {
    const auto contents = empty_file();
    TapeImage image = load(contents);
    append(image, block(6, 1));
    append(image, block(6, 2));
    append(image, block(6, 3));
    contents->bytes[14 + 10] = 5;
    const auto loaded = try_load(contents);
    ASSERT_FALSE(loaded.has_value());
    EXPECT_EQ(loaded.error().error, TapeLoadError::kCorrupt);
    EXPECT_NE(loaded.error().text.find("memory.tap: the record at byte 14"), std::string::npos) << loaded.error().text;
}

TEST(TapeImage, AControlWordThatTheFormatReservesIsAnError) {
    for (const std::uint8_t top : Bytes{0x01, 0x70, 0x81, 0xE0, 0xFE}) {
        const auto loaded = try_load(file_of({4, 0, 0, top, 1, 2, 3, 4, 4, 0, 0, top}));
        ASSERT_FALSE(loaded.has_value()) << int{top};
        EXPECT_EQ(loaded.error().error, TapeLoadError::kReserved);
    }
    EXPECT_FALSE(try_load(file_of({0, 0, 0, 0x80})).has_value());
}

TEST(TapeImage, WhatWasCutIsGoneFromTheDiskBeforeAnythingIsWrittenOverIt) {
    const auto contents = empty_file();
    TapeImage image = load(contents);
    append(image, block(100, 1));
    append(image, block(100, 2));
    ASSERT_TRUE(image.synchronize().has_value());
    ASSERT_TRUE(image.cut(1).has_value());
    EXPECT_EQ(contents->stable.size(), 108u);
    append(image, block(10, 3));
    ASSERT_TRUE(image.synchronize().has_value());
    EXPECT_EQ(read_simh(contents->bytes), (std::vector<std::string>{text(block(100, 1)), text(block(10, 3))}));
}

TEST(TapeImage, AFullHostLeavesOnlyWholeRecords) {
    const auto contents = empty_file();
    TapeImage image = load(contents);
    append(image, block(100, 1));
    contents->limit_bytes = 150;
    Bytes data = block(100, 2);
    const iovec vector{data.data(), data.size()};
    const auto appended = image.append_blocks(100, 1, std::span(&vector, 1));
    EXPECT_EQ(appended.count, 0u);
    EXPECT_EQ(appended.error, TapeImageError::kNoSpace);
    EXPECT_EQ(contents->bytes.size(), 108u);
    EXPECT_TRUE(image.synchronize().has_value());
    EXPECT_EQ(load(contents).index().count(), 1u);
}

TEST(TapeImage, AFailedSynchronizeIsNotForgotten) {
    const auto contents = empty_file();
    TapeImage image = load(contents);
    append(image, block(100, 1));
    contents->fail_synchronize = true;
    EXPECT_FALSE(image.synchronize().has_value());
    contents->fail_synchronize = false;
    EXPECT_FALSE(image.synchronize().has_value());
    EXPECT_EQ(image.append_filemarks(1).error, TapeImageError::kIoError);
}

TEST(ObjectIndex, BlocksOfOneLengthAreOneEntryAndFoundByNumber) {
    ObjectIndex index;
    std::uint64_t offset = 0;
    const auto add = [&](std::uint32_t word, std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i) {
            EXPECT_TRUE(index.append(offset, word));
            offset += word == 0 ? 4 : 8 + word;
        }
    };
    add(10, 1000);
    add(0, 1);
    add(20, 500);
    add(0, 2);
    EXPECT_EQ(index.object(999).offset_bytes, 18u * 999);
    EXPECT_EQ(index.object(1000).control_word, 0u);
    EXPECT_EQ(index.object(1001).offset_bytes, 18'004u);
    EXPECT_EQ(index.filemark(0), 1000u);
    EXPECT_EQ(index.filemark(1), 1501u);
    EXPECT_EQ(index.filemark(2), 1502u);
    EXPECT_EQ(index.filemarks_before(1000), 0u);
    EXPECT_EQ(index.filemarks_before(1001), 1u);
    EXPECT_EQ(index.filemarks_before(1502), 2u);
    EXPECT_EQ(index.filemarks_before(1503), 3u);
    index.truncate(1502);
    EXPECT_EQ(index.filemark_count(), 2u);
    EXPECT_EQ(index.trailing_filemarks(), 1u);
    index.truncate(10);
    EXPECT_EQ(index.end_bytes(), 180u);
    EXPECT_EQ(index.filemark_count(), 0u);
}

TEST(HostTapeFile, KeepsATapeAndItsLock) {
    std::string folder = "/tmp/touka-tape-XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    const std::string path = folder + "/a.tap";
    {
        auto file = HostTapeFile::open(path, false);
        ASSERT_TRUE(file.has_value()) << file.error();
        EXPECT_FALSE(HostTapeFile::open(path, false).has_value());
        auto image = TapeImage::load(std::move(*file));
        ASSERT_TRUE(image.has_value());
        append(*image, block(100'001, 5));
        append_marks(*image);
        ASSERT_TRUE(image->synchronize().has_value());
    }
    auto file = HostTapeFile::open(path, true);
    ASSERT_TRUE(file.has_value()) << file.error();
    auto image = TapeImage::load(std::move(*file));
    ASSERT_TRUE(image.has_value());
    EXPECT_EQ(image->index().count(), 2u);
    Bytes data(100'001);
    const std::array vectors{iovec{data.data(), 50'000}, iovec{data.data() + 50'000, 50'001}};
    ASSERT_TRUE(image->read(0, vectors).has_value());
    EXPECT_EQ(data, block(100'001, 5));
    ::unlink(path.c_str());
    ::rmdir(folder.c_str());
}

} // namespace
} // namespace touka::scsi
