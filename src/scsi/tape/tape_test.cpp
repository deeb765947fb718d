// The rules of every command on a tape, as a table of tapes, commands and what becomes of them. (SSC-5 §6)
#include "scsi/tape/tape.hpp"

#include <gtest/gtest.h>

#include "scsi/tape/memory_tape_file.hpp"

namespace touka::scsi {
namespace {

using Contents = MemoryTapeFile::Contents;

/// Makes a tape from letters: a to z are blocks of 1 to 26 bytes, '-' is a filemark.
class TapeRules : public testing::Test {
protected:
    void make(std::string_view objects, TapeCapacity capacity = {1'000'000, 1000}, bool write_protected = false) {
        contents = std::make_shared<Contents>();
        auto image = TapeImage::load(std::make_unique<MemoryTapeFile>(contents));
        for (const char object : objects) {
            if (object == '-') {
                EXPECT_EQ(image->append_filemarks(1).count, 1u);
                continue;
            }
            std::string data(static_cast<std::size_t>(object - 'a' + 1), object);
            const iovec vector{data.data(), data.size()};
            const auto length = static_cast<std::uint32_t>(data.size());
            EXPECT_EQ(image->append_blocks(length, 1, std::span(&vector, 1)).count, 1u);
        }
        tape.emplace(std::move(*image), capacity, write_protected);
    }
    TapeOutcome read(const TapeTransfer& transfer) {
        buffer.assign(100, '.');
        const iovec vector{buffer.data(), buffer.size()};
        return tape->read(transfer, std::span(&vector, 1));
    }
    TapeOutcome write(const TapeTransfer& transfer, bool synchronize = false) {
        std::string data(transfer.fixed ? transfer.length * transfer.block_length_bytes : transfer.length, 'W');
        const iovec vector{data.data(), data.size()};
        return tape->write(transfer, std::span(&vector, 1), synchronize);
    }
    [[nodiscard]] std::uint64_t at() const { return tape->position().object; }

    std::shared_ptr<Contents> contents;
    std::optional<Tape> tape;
    std::string buffer;
};

struct Expectation {
    SenseKey key;
    SenseCode code;
    std::int64_t information;
    bool filemark = false, end_of_medium = false, incorrect_length = false;
};
const Expectation kMark{SenseKey::kNoSense, SenseCode::kFilemarkDetected, 0, true};
const Expectation kEnd{SenseKey::kBlankCheck, SenseCode::kEndOfDataDetected, 0};
const Expectation kBeginning{SenseKey::kNoSense, SenseCode::kBeginningOfPartitionOrMediumDetected, 0, false, true};
const Expectation kLength{SenseKey::kNoSense, SenseCode::kNoAdditionalSense, 0, false, false, true};
const Expectation kWarning{SenseKey::kNoSense, SenseCode::kEndOfPartitionOrMediumDetected, 0, false, true};
const Expectation kOverflow{SenseKey::kVolumeOverflow, SenseCode::kEndOfPartitionOrMediumDetected, 0, false, true};

void expect(const TapeOutcome& outcome, Expectation expected, std::int64_t information, const std::string& where = {}) {
    ASSERT_TRUE(outcome.sense.has_value()) << where;
    EXPECT_EQ(outcome.sense->key, expected.key) << where;
    EXPECT_EQ(outcome.sense->code, expected.code) << where;
    ASSERT_TRUE(outcome.sense->information.has_value()) << where;
    EXPECT_EQ(static_cast<std::int64_t>(*outcome.sense->information), information) << where;
    EXPECT_EQ(outcome.sense->filemark, expected.filemark) << where;
    EXPECT_EQ(outcome.sense->end_of_medium, expected.end_of_medium) << where;
    EXPECT_EQ(outcome.sense->incorrect_length, expected.incorrect_length) << where;
}
void expect_good(const TapeOutcome& outcome, const std::string& where = {}) {
    EXPECT_FALSE(outcome.sense.has_value()) << where;
}

TEST_F(TapeRules, ReadOfOneBlock) {
    struct Case {
        const char* name;
        const char* tape;
        std::uint32_t length, block_length;
        bool suppress;
        const Expectation* sense;
        std::int64_t information;
        std::uint64_t bytes, position;
    };
    const Case cases[] = {
        {"exact", "cd", 3, 0, false, nullptr, 0, 3, 1},
        {"nothing asked for", "cd", 0, 0, false, nullptr, 0, 0, 0},
        {"shorter block", "cd", 10, 0, false, &kLength, 7, 3, 1},
        {"longer block", "jd", 4, 0, false, &kLength, -6, 4, 1},
        {"shorter block, SILI", "cd", 10, 0, true, nullptr, 0, 3, 1},
        {"shorter block, SILI, block length set", "cd", 10, 512, true, nullptr, 0, 3, 1},
        {"longer block, SILI", "jd", 4, 0, true, nullptr, 0, 4, 1},
        {"longer block, SILI, block length set", "jd", 4, 512, true, &kLength, -6, 4, 1},
        {"filemark", "-d", 10, 0, false, &kMark, 10, 0, 1},
        {"filemark, SILI", "-d", 10, 0, true, &kMark, 10, 0, 1},
        {"end of data", "", 10, 0, false, &kEnd, 10, 0, 0},
    };
    for (const Case& c : cases) {
        make(c.tape);
        const TapeOutcome outcome = read({.fixed = false,
                                          .length = c.length,
                                          .block_length_bytes = c.block_length,
                                          .suppress_incorrect_length = c.suppress});
        c.sense != nullptr ? expect(outcome, *c.sense, c.information, c.name) : expect_good(outcome, c.name);
        EXPECT_EQ(outcome.bytes, c.bytes) << c.name;
        EXPECT_EQ(at(), c.position) << c.name;
        EXPECT_EQ(buffer.substr(0, c.bytes), std::string(c.bytes, c.tape[0])) << c.name;
        EXPECT_EQ(buffer[c.bytes], '.') << c.name;
    }
}

TEST_F(TapeRules, ReadOfFixedBlocks) {
    struct Case {
        const char* name;
        const char* tape;
        std::uint32_t count;
        const Expectation* sense;
        std::int64_t information;
        std::uint64_t bytes, position;
    };
    const Case cases[] = {
        {"all there", "bbbb", 3, nullptr, 0, 6, 3},
        {"nothing asked for", "bbbb", 0, nullptr, 0, 0, 0},
        {"filemark after two", "bb-b", 4, &kMark, 2, 4, 3},
        {"filemark at once", "-b", 4, &kMark, 4, 0, 1},
        {"shorter block second", "babb", 4, &kLength, 3, 2, 2},
        {"longer block second", "bzbb", 4, &kLength, 3, 2, 2},
        {"end of data after two", "bb", 5, &kEnd, 3, 4, 2},
    };
    for (const Case& c : cases) {
        make(c.tape);
        const TapeOutcome outcome = read({.fixed = true, .length = c.count, .block_length_bytes = 2});
        c.sense != nullptr ? expect(outcome, *c.sense, c.information, c.name) : expect_good(outcome, c.name);
        EXPECT_EQ(outcome.bytes, c.bytes) << c.name;
        EXPECT_EQ(at(), c.position) << c.name;
        make(c.tape);
        const TapeOutcome verified = tape->verify({.fixed = true, .length = c.count, .block_length_bytes = 2});
        c.sense != nullptr ? expect(verified, *c.sense, c.information, c.name) : expect_good(verified, c.name);
        EXPECT_EQ(at(), c.position) << c.name;
    }
}

TEST_F(TapeRules, SpaceOverBlocksAndFilemarks) {
    struct Case {
        const char* name;
        const char* tape;
        std::uint64_t start;
        bool filemarks;
        std::int64_t count;
        const Expectation* sense;
        std::int64_t residue;
        std::uint64_t position;
    };
    constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
    constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
    const Case cases[] = {
        {"blocks", "aaa-a", 0, false, 2, nullptr, 0, 2},
        {"up to the filemark", "aaa-a", 0, false, 3, nullptr, 0, 3},
        {"no blocks", "aaa-a", 1, false, 0, nullptr, 0, 1},
        {"blocks into a filemark", "aaa-a", 1, false, 5, &kMark, 3, 4},
        {"blocks into the end", "aaa-a", 4, false, 3, &kEnd, 2, 5},
        {"blocks at the end", "a", 1, false, 1, &kEnd, 1, 1},
        {"most blocks", "a", 0, false, kMost, &kEnd, kMost - 1, 1},
        {"back", "aaa-a", 3, false, -2, nullptr, 0, 1},
        {"back to the beginning", "aaa-a", 3, false, -3, nullptr, 0, 0},
        {"back into the beginning", "aaa-a", 2, false, -5, &kBeginning, 3, 0},
        {"back into a filemark", "aaa-aa", 6, false, -5, &kMark, 3, 3},
        {"back from behind a filemark", "aaa-a", 4, false, -1, &kMark, 1, 3},
        {"back by most", "aa", 2, false, kLeast, &kBeginning, kMost - 1, 0},
        {"filemarks", "a-a-a", 0, true, 1, nullptr, 0, 2},
        {"two filemarks", "a-a-a", 0, true, 2, nullptr, 0, 4},
        {"no filemarks", "a-a-a", 1, true, 0, nullptr, 0, 1},
        {"filemarks into the end", "a-a-a", 0, true, 5, &kEnd, 3, 5},
        {"filemarks as mt eod asks", "a-a-a", 0, true, 0x7FFFFF, &kEnd, 0x7FFFFD, 5},
        {"filemarks in a row", "a---a", 2, true, 2, nullptr, 0, 4},
        {"filemark back", "a-a-a", 5, true, -1, nullptr, 0, 3},
        {"filemark back from behind it", "a-a-a", 4, true, -1, nullptr, 0, 3},
        {"two filemarks back", "a-a-a", 5, true, -2, nullptr, 0, 1},
        {"filemarks back into the beginning", "a-a-a", 5, true, -3, &kBeginning, 1, 0},
        {"filemarks back by most", "a-", 2, true, kLeast, &kBeginning, kMost, 0},
    };
    for (const Case& c : cases) {
        make(c.tape);
        expect_good(tape->locate(c.start));
        const TapeOutcome outcome = c.filemarks ? tape->space_filemarks(c.count) : tape->space_blocks(c.count);
        if (c.sense != nullptr) {

            expect(outcome, *c.sense, c.residue, c.name);
        } else {
            expect_good(outcome, c.name);
        }
        EXPECT_EQ(at(), c.position) << c.name;
    }
}

TEST_F(TapeRules, WriteOfOneBlockCutsWhatIsBehind) {
    make("abc-d");
    expect_good(tape->locate(1));
    const TapeOutcome outcome = write({.fixed = false, .length = 11});
    expect_good(outcome);
    EXPECT_EQ(outcome.bytes, 11u);
    EXPECT_EQ(at(), 2u);
    EXPECT_EQ(tape->end_of_data(), 2u);
    EXPECT_EQ(tape->position().file, 0u);
}

TEST_F(TapeRules, WriteOfNothingCutsNothing) {
    make("abc");
    expect_good(write({.fixed = false, .length = 0}));
    expect_good(tape->write_filemarks(0, true));
    EXPECT_EQ(tape->end_of_data(), 3u);
}

TEST_F(TapeRules, WriteAndReadOfManyFixedBlocks) {
    make("");
    expect_good(write({.fixed = true, .length = 1000, .block_length_bytes = 3}));
    EXPECT_EQ(at(), 1000u);
    tape->rewind();
    const TapeOutcome outcome = read({.fixed = true, .length = 30, .block_length_bytes = 3});
    expect_good(outcome);
    EXPECT_EQ(buffer.substr(0, 91), std::string(90, 'W') + ".");
}

TEST_F(TapeRules, WritesInTheEarlyWarningZoneAreDoneAndTold) {
    make("", {.capacity_bytes = 100, .early_warning_bytes = 50});
    expect_good(write({.fixed = false, .length = 40})); // up to byte 48
    const TapeOutcome warned = write({.fixed = false, .length = 4});
    expect(warned, kWarning, 0);
    EXPECT_EQ(warned.bytes, 4u);
    expect(tape->write_filemarks(1, true), kWarning, 0);
    EXPECT_EQ(at(), 3u);
    expect_good(tape->write_filemarks(0, true)); // nothing but a synchronize
}

TEST_F(TapeRules, WritesBeyondTheCapacityOverflow) {
    make("", {.capacity_bytes = 100, .early_warning_bytes = 30});
    const TapeOutcome outcome = write({.fixed = true, .length = 7, .block_length_bytes = 10}); // 18 bytes each
    expect(outcome, kOverflow, 2);
    EXPECT_EQ(outcome.bytes, 50u);
    EXPECT_EQ(at(), 5u);
    expect(write({.fixed = false, .length = 10}), kOverflow, 10);
    EXPECT_EQ(at(), 5u);
    expect(tape->write_filemarks(5, false), kOverflow, 3);
    EXPECT_EQ(at(), 7u);
}

TEST_F(TapeRules, AnOverwriteThatDoesNotFitCutsNothing) {
    make("abc", {.capacity_bytes = 40, .early_warning_bytes = 0});
    expect(write({.fixed = false, .length = 100}), kOverflow, 100);
    EXPECT_EQ(tape->end_of_data(), 3u);
}

TEST_F(TapeRules, AWriteProtectedTapeIsReadOnly) {
    make("abc", {1000, 0}, true);
    for (const TapeOutcome& outcome :
         {write({.fixed = false, .length = 10}), tape->write_filemarks(1, true), tape->erase()}) {
        ASSERT_TRUE(outcome.sense.has_value());
        EXPECT_EQ(outcome.sense->key, SenseKey::kDataProtect);
        EXPECT_EQ(outcome.sense->code, SenseCode::kWriteProtected);
    }
    expect_good(tape->write_filemarks(0, true));
    expect_good(read({.fixed = false, .length = 1}));
}

TEST_F(TapeRules, FilemarksAreStableBeforeTheyAreAnsweredUnlessImmediate) {
    make("abc");
    tape->space_to_end_of_data();
    expect_good(tape->write_filemarks(1, false));
    EXPECT_EQ(contents->synchronizations, 0u);
    expect_good(tape->write_filemarks(0, true));
    EXPECT_EQ(contents->stable, contents->bytes);
    expect_good(tape->write_filemarks(1, true));
    EXPECT_EQ(contents->stable, contents->bytes);
    expect_good(write({.fixed = false, .length = 5}, true));
    EXPECT_EQ(contents->stable, contents->bytes);
    expect_good(write({.fixed = false, .length = 5}, false));
    EXPECT_NE(contents->stable, contents->bytes);
}

TEST_F(TapeRules, AWriteThatTheHostFailsIsAMediumErrorWithWhatIsMissing) {
    make("");
    contents->fail_writes = true;
    const TapeOutcome outcome = write({.fixed = true, .length = 3, .block_length_bytes = 10});
    expect(outcome, {SenseKey::kMediumError, SenseCode::kWriteError, 0}, 3);
    EXPECT_EQ(at(), 0u);
    contents->fail_writes = false;
    contents->fail_synchronize = true;
    EXPECT_TRUE(tape->write_filemarks(1, true).sense.has_value());
}

TEST_F(TapeRules, AReadThatTheHostFailsIsAMediumError) {
    make("abc");
    contents->fail_reads = true;
    expect(read({.fixed = false, .length = 9}), {SenseKey::kMediumError, SenseCode::kUnrecoveredReadError, 0}, 9);
    EXPECT_EQ(at(), 1u);
}

TEST_F(TapeRules, LocateGoesToObjectsFilesAndNotBeyondTheEnd) {
    make("aa-b-c");
    expect_good(tape->locate(4));
    EXPECT_EQ(tape->position().file, 1u);
    expect_good(tape->locate_file(2));
    EXPECT_EQ(at(), 5u);
    expect_good(tape->locate_file(0));
    EXPECT_EQ(at(), 0u);
    expect_good(tape->locate(6));
    const TapeOutcome beyond = tape->locate(7);
    ASSERT_TRUE(beyond.sense.has_value());
    EXPECT_EQ(beyond.sense->key, SenseKey::kBlankCheck);
    EXPECT_EQ(at(), 6u);
    tape->rewind();
    EXPECT_TRUE(tape->locate_file(3).sense.has_value());
    EXPECT_EQ(at(), 6u);
}

TEST_F(TapeRules, EraseLeavesNothingFromThePositionOn) {
    make("aa-b-c");
    expect_good(tape->locate(2));
    expect_good(tape->erase());
    EXPECT_EQ(tape->end_of_data(), 2u);
    EXPECT_EQ(at(), 2u);
    EXPECT_EQ(contents->stable, contents->bytes);
}

} // namespace
} // namespace touka::scsi
