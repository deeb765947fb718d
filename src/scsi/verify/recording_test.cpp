#include "scsi/verify/recording.hpp"

#include <gtest/gtest.h>

#include "scsi/verify/command_sender.hpp"
#include "scsi/verify/hex.hpp"

namespace touka::scsi::verify {
namespace {

Recording example() {
    Recording recording{.tells_overflow = true, .attentions = {{0x70, 0, 6, 0, 0, 0, 0, 0}}};
    recording.responses = {
        {.status = 0x02, .sense = {0x70, 0, 5}, .residual = 512},
        {.residual = -12, .data = {.length_bytes = 2, .first = {0xAB, 0xCD}}},
        {.delivery = Delivery::kTimeout},
        record({.in_bytes = 4096}, {.data = std::vector<std::uint8_t>(4096, 7)}),
        {.delivery = Delivery::kRefused},
        {.delivery = Delivery::kFailed},
    };
    return recording;
}
std::string error_of(const std::string& text) {
    const auto recording = parse_recording(text, "r");
    return recording ? "" : recording.error();
}

TEST(Sha256, IsTheStandards) {
    // (NIST: examples with intermediate values, SHA-256; FIPS 180-2 appendix B.1 to B.3)
    const auto of = [](std::string_view text) {
        return to_hex(sha256({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}));
    };
    EXPECT_EQ(of("abc"), "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD");
    EXPECT_EQ(of(""), "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855");
    EXPECT_EQ(of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
              "248D6A61D20638B8E5C026930C3E6039A33CE45964FF2167F6ECEDD419DB06C1");
    EXPECT_EQ(of(std::string(1'000'000, 'a')), "CDC76E5C9914FB9281A1C7E284D73E67F1809A48A497200E046D39CCC7112CD0");
}

TEST(VerifyRecording, ComesBackFromItsText) {
    const Recording recording = example();
    const auto back = parse_recording(to_text(recording), "r");
    ASSERT_TRUE(back) << back.error();
    EXPECT_EQ(*back, recording);
}

TEST(VerifyRecording, IsALineForEachCommand) {
    Recording recording = example();
    recording.responses.resize(3);
    EXPECT_EQ(to_text(recording), "touka-responses 1 overflow=yes\n"
                                  "attention 7000060000000000\n"
                                  "1 complete status=02 residual=512 sense=700005 data=0:-\n"
                                  "2 complete status=00 residual=-12 sense=- data=2:ABCD\n"
                                  "3 timeout\n");
}

TEST(VerifyRecording, ThatATerminalHasPassedOnIsTaken) {
    EXPECT_TRUE(parse_recording("touka-responses 1 overflow=no\r\n1 failed\r\n", "r"));
}

TEST(VerifyRecording, OfAForgerIsRefused) {
    const std::string head = "touka-responses 1 overflow=no\n";
    EXPECT_EQ(error_of(""), "r:1: not the responses that touka-probe prints");
    EXPECT_EQ(error_of("sh: touka-probe: not found\n"), "r:1: not the responses that touka-probe prints");
    EXPECT_EQ(error_of(head + "2 failed\n"), "r:2: response 1 should follow");
    EXPECT_EQ(error_of(head + "1 failed\n1 failed\n"), "r:3: response 2 should follow");
    EXPECT_EQ(error_of(head + "1 failed\nattention 70\n"), "r:3: response 2 should follow");
    EXPECT_EQ(error_of(head + "attention -\n"), "r:2: not sense data");
    const std::string good = "1 complete status=00 residual=0 sense=- data=0:-";
    EXPECT_EQ(error_of(head + good + "\n"), "");
    for (const char* bad :
         {"1 vanished", "1 failed 2", "1 complete", "1 complete status=0 residual=0 sense=- data=0:-",
          "1 complete status=000 residual=0 sense=- data=0:-", "1 complete status=00 residual=x sense=- data=0:-",
          "1 complete status=00 residual=0 sense=7 data=0:-", "1 complete status=00 residual=0 sense=- data=2:AB",
          "1 complete status=00 residual=0 sense=- data=0:-:00", "1 complete status=00 residual=0 sense=- data=0:-  ",
          "1 complete status=00 residual=0 sense=- data=99999999999:AB",
          "1 complete residual=0 status=00 sense=- data=0:-"}) {
        EXPECT_NE(error_of(head + bad + "\n"), "") << bad;
    }
    EXPECT_EQ(error_of(head + "1 complete status=00 residual=0 sense=" + std::string(506, '7') + " data=0:-\n"),
              "r:2: not a response");
}

TEST(VerifyResponse, HasZerosWhereBytesAreIgnoredAlsoBeyondWhatIsShown) {
    const Command command{.in_bytes = 4096, .ignored = {.bytes = {{1, 2}, {3000, ByteRange::kToTheEnd}, {9999, 9999}}}};
    std::vector<std::uint8_t> one(4096, 1), other(4096, 1);
    other[1] = 9, other[2] = 9, other[3000] = 9, other[4095] = 9;
    EXPECT_EQ(record(command, {.data = one}), record(command, {.data = other}));
    other[3] = 9;
    EXPECT_FALSE(record(command, {.data = one}) == record(command, {.data = other}));
    other[3] = 1, other[2999] = 9;
    EXPECT_FALSE(record(command, {.data = one}) == record(command, {.data = other}));
}

TEST(VerifyResponse, LosesWhatIsIgnored) {
    const Command command{.ignored = {.data = true, .sense = true, .residual = true}};
    const Response response = record(command, {.status = 2, .sense = {0x70}, .residual = 3, .data = {1, 2}});
    EXPECT_EQ(response, (Response{.status = 2}));
}

TEST(VerifyResponse, IgnoresDesignatorsOfTargetPortsAlone) {
    const std::vector<std::uint8_t> unit{0x01, 0x03, 0, 4, 1, 2, 3, 4}, port{0x61, 0x94, 0, 4, 0, 0, 0, 7};
    const auto page = [](std::vector<std::vector<std::uint8_t>> descriptors) {
        std::vector<std::uint8_t> bytes{0, 0x83, 0, 0};
        for (const auto& descriptor : descriptors) bytes.insert(bytes.end(), descriptor.begin(), descriptor.end());
        bytes[3] = static_cast<std::uint8_t>(bytes.size() - 4);
        return bytes;
    };
    const Command command{.in_bytes = 100, .ignored = {.target_ports = true}};
    const auto recorded = [&](const std::vector<std::uint8_t>& data) {
        return record(command, {.residual = 100 - static_cast<std::int64_t>(data.size()), .data = data});
    };
    EXPECT_EQ(recorded(page({unit, port})), recorded(page({unit})));
    EXPECT_EQ(recorded(page({port, port, unit})), recorded(page({unit})));
    EXPECT_EQ(recorded(page({unit, port})).data.first, page({unit}));
    EXPECT_FALSE(recorded(page({unit, unit})) == recorded(page({unit})));
    auto cut = page({unit, port});
    cut.pop_back();
    EXPECT_EQ(recorded(cut).data.first, cut);
    auto longer = page({unit, port});
    longer[15] = 200; // than the page
    EXPECT_EQ(recorded(longer).data.first, page({unit}));
}

TEST(VerifyResponse, HasSenseDataOfTheLengthThatTheySay) {
    std::vector<std::uint8_t> sense(96);
    sense[0] = 0x70, sense[7] = 10;
    EXPECT_EQ(record({}, {.status = 2, .sense = sense}).sense.size(), 18u);
    sense[7] = 244;
    EXPECT_EQ(record({}, {.status = 2, .sense = sense}).sense.size(), 96u);
}

/// Two unit attentions, then GOOD.
class AttentiveSender final : public CommandSender {
public:
    RawResponse send(const Command& command) override {
        sent.push_back(command.name);
        if (attentions == 0) return {};
        --attentions;
        std::vector<std::uint8_t> sense(18);
        sense[0] = 0x70, sense[2] = 6, sense[7] = 10, sense[12] = 0x29;
        return {.status = 2, .sense = sense};
    }
    bool tells_overflow() const override { return false; }
    int attentions = 2;
    std::vector<std::string> sent;
};

TEST(VerifyRecording, TakesUnitAttentionsBeforeTheFirstCommand) {
    AttentiveSender sender;
    const Recording recording = run_corpus({.commands = {{.name = "a"}, {.name = "b"}}}, sender);
    EXPECT_EQ(recording.attentions.size(), 2u);
    ASSERT_EQ(recording.responses.size(), 2u);
    EXPECT_EQ(recording.responses[0].status, 0);
    EXPECT_EQ(sender.sent.size(), 5u);
    EXPECT_EQ(sender.sent[3], "a");
}

TEST(VerifyRecording, GivesUpOnAUnitThatHasNothingButAttentions) {
    AttentiveSender sender;
    sender.attentions = 1'000'000;
    EXPECT_EQ(run_corpus({.commands = {{.name = "a"}}}, sender).attentions.size(), Recording::kAttentionLimit);
}

} // namespace
} // namespace touka::scsi::verify
