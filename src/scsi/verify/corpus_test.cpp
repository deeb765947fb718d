#include "scsi/verify/corpus.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <utility>

namespace touka::scsi::verify {
namespace {

std::string error_of(std::string_view text) {
    const auto corpus = parse_corpus(text, "c.txt");
    return corpus ? "" : corpus.error();
}

TEST(VerifyCorpus, TakesNamesCommandsBuffersAndWhatIsIgnored) {
    const auto corpus = parse_corpus("# a comment\n"
                                     "name INQUIRY, cut # and why\r\n"
                                     "  cdb 12 00 00 00 24 00\n"
                                     "in 0x24\n"
                                     "ignore bytes 8-15 20 32-\n"
                                     "ignore target-ports\n\n"
                                     "name WRITE(10)\n"
                                     "cdb 2a 00 00 00 00 00 00 00 01 00\n"
                                     "out hex 01 02\n"
                                     "out pattern 3 0xA5\n"
                                     "ignore residual\nignore sense\nignore data\nignore overrun",
                                     "c.txt");
    ASSERT_TRUE(corpus) << corpus.error();
    ASSERT_EQ(corpus->commands.size(), 2u);
    const Command& inquiry = corpus->commands[0];
    EXPECT_EQ(inquiry.name, "INQUIRY, cut");
    EXPECT_EQ(inquiry.cdb, (std::vector<std::uint8_t>{0x12, 0, 0, 0, 0x24, 0}));
    EXPECT_EQ(inquiry.in_bytes, 36u);
    ASSERT_EQ(inquiry.ignored.bytes.size(), 3u);
    EXPECT_EQ(inquiry.ignored.bytes[0].last, 15u);
    EXPECT_EQ(inquiry.ignored.bytes[1].first, 20u);
    EXPECT_EQ(inquiry.ignored.bytes[1].last, 20u);
    EXPECT_EQ(inquiry.ignored.bytes[2].last, ByteRange::kToTheEnd);
    EXPECT_TRUE(inquiry.ignored.target_ports && !inquiry.ignored.data);
    const Command& write = corpus->commands[1];
    EXPECT_EQ(write.out, (std::vector<std::uint8_t>{1, 2, 0xA5, 0xA5, 0xA5}));
    EXPECT_TRUE(write.ignored.residual && write.ignored.sense && write.ignored.data && write.ignored.overrun);
}

TEST(VerifyCorpus, SaysInWhichLineAndWhatIsWrong) {
    EXPECT_EQ(error_of(""), "c.txt:0: there is no command");
    EXPECT_EQ(error_of("cdb 00"), "c.txt:1: a command begins with a line \"name ...\"");
    EXPECT_EQ(error_of("name a\ncbd 00"), "c.txt:2: \"cbd\" is none of name, cdb, in, out, ignore");
    EXPECT_EQ(error_of("name\ncdb 00"), "c.txt:1: a command needs a name");
    EXPECT_EQ(error_of("name a\ncdb 00\nname a\ncdb 00"), "c.txt:3: a second command named \"a\"");
    EXPECT_EQ(error_of("\nname a\nin 5"), "c.txt:2: \"a\" has no cdb");
    EXPECT_EQ(error_of("name a\ncdb 0"), "c.txt:2: \"0\" is not a byte in two hexadecimal digits");
    EXPECT_EQ(error_of("name a\ncdb 00 +1"), "c.txt:2: \"+1\" is not a byte in two hexadecimal digits");
    EXPECT_EQ(error_of("name a\ncdb"), "c.txt:2: bytes are missing");
    EXPECT_EQ(error_of("name a\ncdb 00\ncdb 00"), "c.txt:3: a second cdb");
    EXPECT_EQ(error_of("name a\ncdb 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"),
              "c.txt:2: more than 16 bytes");
    EXPECT_EQ(error_of("name a\ncdb 00\nin 5 6"), "c.txt:3: unexpected \"6\"");
    EXPECT_EQ(error_of("name a\ncdb 00\nin -5"), "c.txt:3: \"-5\" is not a number of bytes");
    EXPECT_EQ(error_of("name a\ncdb 00\nin 99999999"), "c.txt:3: \"99999999\" is more than 16777216 bytes");
    EXPECT_EQ(error_of("name a\ncdb 00\nin 5\nout hex 00"), "c.txt:4: a command has in or out, not both");
    EXPECT_EQ(error_of("name a\ncdb 00\nout file x"), "c.txt:3: \"file\" is none of pattern, hex");
    EXPECT_EQ(error_of("name a\ncdb 00\nout pattern 5 256"), "c.txt:3: \"256\" is not the value of a byte");
    EXPECT_EQ(error_of("name a\ncdb 00\nout pattern 16777216 0\nout pattern 1 0"), "c.txt:4: more than 16777216 bytes");
    EXPECT_EQ(error_of("name a\ncdb 00\nignore bytes 7-4"),
              "c.txt:3: \"7-4\" is not a range of bytes: write 4, 4-7 or 4-");
    EXPECT_EQ(error_of("name a\ncdb 00\nignore all"),
              "c.txt:3: \"all\" is none of bytes, data, target-ports, sense, residual, overrun");
}

TEST(VerifyCorpus, BoundsTheDataOfAllCommandsTogether) {
    std::string text;
    for (int i = 0; i < 17; ++i) {
        text += "name " + std::to_string(i) + "\ncdb 2A 00\nout pattern 16777216 0\n";
    }
    EXPECT_EQ(error_of(text), "c.txt:51: too much data in all");
}

TEST(VerifyCorpus, OfEachKindOfUnitIsReadable) {
    const std::string here = __FILE__;
    for (const auto& [name, count] : {std::pair("disk.txt", 150u), std::pair("tape.txt", 100u)}) {
        const std::string path = here.substr(0, here.rfind('/')) + "/corpus/" + name;
        std::ifstream file(path);
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        const auto corpus = parse_corpus(text, path);
        ASSERT_TRUE(corpus) << corpus.error();
        EXPECT_GE(corpus->commands.size(), count);
    }
}

} // namespace
} // namespace touka::scsi::verify
