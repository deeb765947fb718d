// Commands and their data, over a connection without a socket.
#include <gtest/gtest.h>

#include "scsi/iscsi/test_initiator.hpp"

namespace touka::scsi::iscsi {

using namespace spec::iscsi;

namespace {

/// Sends what R2Ts ask for until the response is there.
std::optional<TestPdu> write_solicited(TestInitiator& initiator, std::span<const std::uint8_t> data,
                                       std::size_t segment, unsigned* r2ts = nullptr) {
    while (auto pdu = initiator.receive()) {
        if (pdu->opcode() != Opcode::kReadyToTransfer) return pdu;
        if (r2ts != nullptr) ++*r2ts;
        const std::uint32_t tag = pdu->header.task_tag();
        std::uint32_t offset = pdu->header.get32(kBufferOffset);
        const std::uint32_t end = offset + pdu->header.get32(kDesiredDataTransferLength);
        for (std::uint32_t sn = 0; offset < end; ++sn) {
            const auto length = static_cast<std::uint32_t>(std::min<std::size_t>(segment, end - offset));
            initiator.send(
                TestInitiator::data_out(tag, pdu->header.get32(kTargetTransferTag), sn, offset, offset + length == end),
                data.subspan(offset, length));
            offset += length;
        }
    }
    return std::nullopt;
}

} // namespace

TEST(IscsiTransfer, ReadComesAsDataInWithItsStatus) {
    TestSetup setup;
    setup.unit.memory = pattern(setup.unit.memory.size(), 1);
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    initiator.send(initiator.read(3, 8));
    const auto pdu = initiator.receive();
    ASSERT_TRUE(pdu);
    EXPECT_EQ(pdu->opcode(), Opcode::kDataIn);
    EXPECT_EQ(pdu->header.flags(), kFinal | kStatusFlag);
    EXPECT_EQ(pdu->header.bytes[3], 0);
    EXPECT_TRUE(std::ranges::equal(pdu->data, std::span(setup.unit.memory).subspan(3 * 512, 8 * 512)));
    EXPECT_EQ(pdu->header.get32(kExpCmdSn), 101u);
    EXPECT_EQ(pdu->header.get32(kMaxCmdSn), 100u + 128u);
    EXPECT_FALSE(initiator.receive());
    EXPECT_EQ(setup.entity.buffers().used_bytes(), 0u);
}

TEST(IscsiTransfer, LongReadIsSplitAtSegmentsAndBursts) {
    TestSetup setup;
    setup.unit.memory = pattern(setup.unit.memory.size(), 2);
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login({"MaxRecvDataSegmentLength=1024", "MaxBurstLength=2560"}), 0);
    initiator.send(initiator.read(0, 16)); // 8192 bytes: 1024 1024 512 F, three times, and 512 F
    std::vector<std::uint8_t> data;
    std::vector<std::size_t> lengths;
    for (std::uint32_t sn = 0;; ++sn) {
        const auto pdu = initiator.receive();
        ASSERT_TRUE(pdu);
        EXPECT_EQ(pdu->header.get32(kDataSn), sn);
        EXPECT_EQ(pdu->header.get32(kBufferOffset), data.size());
        data.insert(data.end(), pdu->data.begin(), pdu->data.end());
        lengths.push_back(pdu->data.size());
        EXPECT_EQ(pdu->header.has(kFinal), data.size() % 2560 == 0 || data.size() == 8192);
        if (pdu->header.has(kStatusFlag)) break;
    }
    EXPECT_EQ(lengths, (std::vector<std::size_t>{1024, 1024, 512, 1024, 1024, 512, 1024, 1024, 512, 512}));
    EXPECT_TRUE(std::ranges::equal(data, std::span(setup.unit.memory).first(8192)));
}

TEST(IscsiTransfer, WriteByImmediateDataAlone) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    const auto data = pattern(4096, 5);
    initiator.send(initiator.write(8, 8), data);
    const auto response = initiator.receive();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->opcode(), Opcode::kScsiResponse);
    EXPECT_EQ(response->header.flags(), kFinal);
    EXPECT_EQ(response->header.bytes[3], 0);
    EXPECT_TRUE(std::ranges::equal(data, std::span(setup.unit.memory).subspan(4096, 4096)));
}

TEST(IscsiTransfer, WriteByEveryMixOfImmediateUnsolicitedAndSolicitedData) {
    const auto data = pattern(65'536, 6);
    for (const bool immediate : {false, true}) {
        for (const bool unsolicited : {false, true}) {
            for (const std::uint32_t first : {512u, 4096u, 65'536u}) {
                for (const std::uint32_t outstanding : {1u, 3u}) {
                    TestSetup setup;
                    TestInitiator initiator(setup.entity);
                    ASSERT_EQ(initiator.login({std::string("InitialR2T=") + (unsolicited ? "No" : "Yes"),
                                               std::string("ImmediateData=") + (immediate ? "Yes" : "No"),
                                               "FirstBurstLength=" + std::to_string(first), "MaxBurstLength=8192",
                                               "MaxOutstandingR2T=" + std::to_string(outstanding)}),
                              0);
                    // A first burst is no longer than a burst.
                    const std::uint32_t burst = std::min(first, 8192u);
                    const std::uint32_t with_command = immediate ? burst / 2 : 0;
                    auto command = initiator.write(0, 128, unsolicited ? 0x21 : 0xA1);
                    initiator.send(command, std::span(data).first(with_command));
                    if (unsolicited) {
                        initiator.send(TestInitiator::data_out(initiator.tag, kReservedTag, 0, with_command, true),
                                       std::span(data).subspan(with_command, burst - with_command));
                    }
                    unsigned r2ts = 0;
                    const auto response = write_solicited(initiator, data, 4096, &r2ts);
                    ASSERT_TRUE(response);
                    EXPECT_EQ(response->header.bytes[3], 0);
                    EXPECT_EQ(response->header.flags(), kFinal);
                    EXPECT_EQ(response->header.get32(kExpDataSn), r2ts);
                    EXPECT_TRUE(std::ranges::equal(data, std::span(setup.unit.memory).first(data.size())));
                    EXPECT_EQ(setup.unit.submitted, 1);
                }
            }
        }
    }
}

TEST(IscsiTransfer, NoMoreReadyToTransfersThanNegotiatedAreOut) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login({"MaxOutstandingR2T=2", "MaxBurstLength=512"}), 0);
    initiator.send(initiator.write(0, 4));
    const auto first = initiator.receive();
    ASSERT_TRUE(first && initiator.receive());
    EXPECT_FALSE(initiator.receive());
    const auto data = pattern(512, 1);
    initiator.send(TestInitiator::data_out(initiator.tag, first->header.get32(kTargetTransferTag), 0, 0, true), data);
    const auto third = initiator.receive();
    ASSERT_TRUE(third);
    EXPECT_EQ(third->header.get32(kR2tSn), 2u);
    EXPECT_EQ(third->header.get32(kBufferOffset), 1024u);
}

TEST(IscsiTransfer, BytesOneByOneMakeTheSameCommands) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login({"HeaderDigest=CRC32C", "DataDigest=CRC32C"}), 0);
    const auto data = pattern(1024, 9);
    initiator.send_bytes(initiator.encode(initiator.write(0, 2), data), 1);
    ASSERT_TRUE(initiator.receive());
    initiator.send_bytes(initiator.encode(initiator.read(0, 2), {}), 1);
    const auto read = initiator.receive();
    ASSERT_TRUE(read);
    EXPECT_EQ(read->data, data);
    EXPECT_TRUE(initiator.header_digest_good && initiator.data_digest_good);
}

TEST(IscsiTransfer, ManyCommandsOfOneSegmentAreCommittedTogether) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    std::vector<std::uint8_t> bytes;
    for (std::uint32_t i = 0; i < 32; ++i) {
        const auto command = initiator.encode(initiator.read(i, 1), {});
        bytes.insert(bytes.end(), command.begin(), command.end());
    }
    initiator.send_bytes(bytes);
    EXPECT_EQ(setup.unit.submitted, 32);
    EXPECT_EQ(setup.unit.commits, 1);
    std::array<iovec, 192> pieces;
    EXPECT_EQ(initiator.connection->gather(pieces), 64u) << "headers and data of all of them in one go";
}

struct ResidualCase {
    std::uint8_t operation_code, flags;
    std::uint32_t blocks, expected_bytes;
    std::uint8_t residual_flag;
    std::uint32_t residual;
};

TEST(IscsiTransfer, ResidualIsTheDifferenceBetweenCommandAndBuffer) {
    for (const ResidualCase& c : {ResidualCase{0x28, 0xC1, 1, 0, kResidualOverflow, 512},
                                  {0x28, 0xC1, 1, 10'000, kResidualUnderflow, 9488},
                                  {0x28, 0xC1, 1, 200, kResidualOverflow, 312},
                                  {0x28, 0xC1, 2, 512, kResidualOverflow, 512},
                                  {0x2A, 0xA1, 1, 0, kResidualOverflow, 512},
                                  {0x2A, 0xA1, 1, 10'000, kResidualUnderflow, 9488},
                                  {0x2A, 0xA1, 1, 200, kResidualOverflow, 312},
                                  {0x28, 0xC1, 1, 512, 0, 0}}) {
        TestSetup setup;
        TestInitiator initiator(setup.entity);
        ASSERT_EQ(initiator.login(), 0);
        const std::vector<std::uint8_t> data(c.flags == 0xA1 ? c.expected_bytes : 0);
        initiator.send(initiator.command(c.operation_code, 0, c.blocks, c.flags, c.expected_bytes), data);
        const auto response = initiator.receive();
        ASSERT_TRUE(response);
        EXPECT_EQ(response->header.bytes[3], 0);
        EXPECT_EQ(response->header.flags() & 0x06, c.residual_flag);
        EXPECT_EQ(response->header.get32(kResidualCount), c.residual);
    }
}

TEST(IscsiTransfer, WriteIsNotAskedForMoreThanTheLargestPiece) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    const std::uint32_t expected = 20 << 20;
    const auto data = pattern(16 << 20, 3);
    initiator.send(initiator.command(0x2A, 0, 8, 0xA1, expected));
    const auto response = write_solicited(initiator, data, 262'144);
    ASSERT_TRUE(response);
    EXPECT_EQ(response->header.bytes[3], 0);
    EXPECT_TRUE(std::ranges::equal(std::span(data).first(4096), std::span(setup.unit.memory).first(4096)));
    EXPECT_EQ(response->header.get32(kResidualCount), expected - 4096);
    EXPECT_EQ(setup.entity.sessions()[0].counters.data_out_bytes, 16u << 20);
}

TEST(IscsiTransfer, SenseDataComeWithTheResponse) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    initiator.send(initiator.read(5000, 1));
    const auto response = initiator.receive();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->opcode(), Opcode::kScsiResponse);
    EXPECT_EQ(response->header.bytes[3], 2);
    ASSERT_EQ(response->data.size(), 20u);
    EXPECT_EQ(response->data[1], 18);
    EXPECT_EQ(response->data[2 + 12], 0x21);
    EXPECT_EQ(response->header.flags() & 0x06, kResidualUnderflow);
    EXPECT_EQ(response->header.get32(kResidualCount), 512u);
}

TEST(IscsiTransfer, ExtendedCdbIsPutTogether) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    auto header = initiator.command(0x7F, 0, 0, 0x81, 0);
    const std::vector<std::uint8_t> ahs{0, 17, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    initiator.send(header, {}, ahs);
    ASSERT_TRUE(initiator.receive());
    EXPECT_EQ(setup.unit.last_cdb.bytes().size(), 32u);
    EXPECT_EQ(setup.unit.last_cdb[16], 1);
    EXPECT_EQ(setup.unit.last_cdb[31], 16);
}

TEST(IscsiTransfer, BidirectionalAndMalformedHeadersAreRejected) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    const auto rejected = [&](const BasicHeader& header, std::vector<std::uint8_t> ahs, RejectReason reason) {
        initiator.send(header, {}, ahs);
        const auto pdu = initiator.receive();
        ASSERT_TRUE(pdu);
        EXPECT_EQ(pdu->opcode(), Opcode::kReject);
        EXPECT_EQ(pdu->header.bytes[2], static_cast<std::uint8_t>(reason));
        EXPECT_EQ(pdu->data.size(), 48u);
    };
    rejected(initiator.command(0x53, 0, 1, 0xE1, 512), {}, RejectReason::kCommandNotSupported);
    rejected(initiator.read(0, 1), {0, 5, 2, 0, 0, 0, 2, 0}, RejectReason::kCommandNotSupported);
    rejected(initiator.read(0, 1), {0, 200, 1, 0}, RejectReason::kInvalidPduField);
    rejected(initiator.read(0, 1), {0, 0, 1, 0}, RejectReason::kInvalidPduField);
    rejected(initiator.request(Opcode::kSnackRequest), {}, RejectReason::kSnackReject);
    rejected(initiator.request(Opcode(0x1C)), {}, RejectReason::kCommandNotSupported);
    EXPECT_EQ(setup.unit.submitted, 0);
}

TEST(IscsiTransfer, CommandOutsideTheWindowIsDroppedWithoutAWord) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    initiator.send(initiator.read(0, 1).set(kCmdSn, 99));
    initiator.send(initiator.read(0, 1).set(kCmdSn, 100 + 128));
    EXPECT_FALSE(initiator.receive());
    initiator.send(initiator.read(0, 1).set(kCmdSn, 100));
    EXPECT_TRUE(initiator.receive());
    EXPECT_EQ(setup.entity.sessions()[0].counters.outside_window, 2u);
}

TEST(IscsiTransfer, WindowClosesWhenFullAndOpensWithResponses) {
    TestSetup setup({.queue_depth = 2});
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    setup.unit.hold = true;
    initiator.send(initiator.read(0, 1));
    initiator.send(initiator.read(0, 1));
    initiator.send(initiator.read(0, 1)); // beyond MaxCmdSN
    EXPECT_EQ(setup.unit.held(), 2u);
    setup.unit.release();
    ASSERT_TRUE(initiator.receive());
    const auto last = initiator.receive();
    ASSERT_TRUE(last);
    EXPECT_EQ(last->header.get32(kExpCmdSn), 102u);
    EXPECT_EQ(last->header.get32(kMaxCmdSn), 103u);
}

TEST(IscsiTransfer, EveryKindOfResponseGivesItsPlaceBack) {
    TestSetup setup({.queue_depth = 2, .immediate_commands = 2});
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    for (int i = 0; i < 5; ++i) {
        initiator.send(initiator.command(0x00, 0, 0, 0x81, 0));
        ASSERT_TRUE(initiator.receive());
        initiator.send(initiator.write(0, 1), pattern(512, 1));
        ASSERT_TRUE(initiator.receive());
        initiator.send(initiator.read(0, 1));
        ASSERT_TRUE(initiator.receive());
        auto immediate = initiator.read(0, 1);
        immediate.bytes[0] |= kImmediate;
        --initiator.cmd_sn;
        initiator.send(immediate);
        const auto data = initiator.receive();
        ASSERT_TRUE(data);
        EXPECT_EQ(data->opcode(), Opcode::kDataIn);
        EXPECT_EQ(data->header.get32(kMaxCmdSn), data->header.get32(kExpCmdSn) + 1);
    }
}

TEST(IscsiTransfer, ImmediateCommandsHaveALimitOfTheirOwn) {
    TestSetup setup({.queue_depth = 2, .immediate_commands = 1});
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    setup.unit.hold = true;
    for (int i = 0; i < 2; ++i) {
        auto immediate = initiator.read(0, 1);
        immediate.bytes[0] |= kImmediate;
        --initiator.cmd_sn;
        initiator.send(immediate);
    }
    EXPECT_EQ(setup.unit.held(), 1u);
    const auto pdu = initiator.receive();
    ASSERT_TRUE(pdu);
    EXPECT_EQ(pdu->header.bytes[2], static_cast<std::uint8_t>(RejectReason::kTooManyImmediateCommands));
}

TEST(IscsiTransfer, TagInUseIsRejected) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    setup.unit.hold = true;
    initiator.send(initiator.read(0, 1));
    initiator.send(initiator.read(0, 1).set(kInitiatorTaskTag, initiator.tag - 1));
    const auto pdu = initiator.receive();
    ASSERT_TRUE(pdu);
    EXPECT_EQ(pdu->header.bytes[2], static_cast<std::uint8_t>(RejectReason::kTaskInProgress));
}

TEST(IscsiTransfer, WrongDataSnFailsTheCommandOnceItsDataHaveCome) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login({"ImmediateData=No"}), 0);
    initiator.send(initiator.write(0, 2));
    const auto r2t = initiator.receive();
    ASSERT_TRUE(r2t);
    const std::uint32_t transfer_tag = r2t->header.get32(kTargetTransferTag);
    const auto data = pattern(512, 1);
    initiator.send(TestInitiator::data_out(initiator.tag, transfer_tag, 1, 0, false), data);
    EXPECT_FALSE(initiator.receive());
    initiator.send(TestInitiator::data_out(initiator.tag, transfer_tag, 0, 512, true), data);
    const auto response = initiator.receive();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->header.bytes[3], 2);
    EXPECT_EQ(response->data[2 + 2] & 0xF, 0xB);
    EXPECT_EQ(response->data[2 + 12], 0x47);
    EXPECT_EQ(response->data[2 + 13], 0x05);
    EXPECT_EQ(setup.unit.submitted, 0);
    EXPECT_EQ(setup.entity.buffers().used_bytes(), 0u);
}

TEST(IscsiTransfer, DataBeyondOrBesideWhatWasAskedForFailTheCommand) {
    struct Case {
        std::uint32_t offset, bytes;
        std::uint8_t code;
    };
    for (const Case& c :
         {Case{0, 1536, 0x4B}, Case{512, 512, 0x0C}, Case{0xFFFF'FE00, 1024, 0x0C}, Case{0, 512, 0x0C}}) {
        TestSetup setup;
        TestInitiator initiator(setup.entity);
        ASSERT_EQ(initiator.login(), 0);
        initiator.send(initiator.write(0, 2));
        const auto r2t = initiator.receive();
        ASSERT_TRUE(r2t);
        initiator.send(TestInitiator::data_out(initiator.tag, r2t->header.get32(kTargetTransferTag), 0, c.offset, true),
                       pattern(c.bytes, 1));
        const auto response = initiator.receive();
        ASSERT_TRUE(response);
        EXPECT_EQ(response->header.bytes[3], 2);
        EXPECT_EQ(response->data[2 + 12], c.code);
    }
}

TEST(IscsiTransfer, DataBeyondTheEndOfABurstFailTheCommand) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    initiator.send(initiator.write(0, 2));
    const auto r2t = initiator.receive();
    ASSERT_TRUE(r2t);
    const std::uint32_t transfer_tag = r2t->header.get32(kTargetTransferTag);
    initiator.send(TestInitiator::data_out(initiator.tag, transfer_tag, 0, 0, false), pattern(512, 1));
    initiator.send(TestInitiator::data_out(initiator.tag, transfer_tag, 1, 512, true), pattern(513, 1));
    const auto response = initiator.receive();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->header.bytes[3], 2);
    EXPECT_EQ(response->data[2 + 12], 0x4B);
    EXPECT_EQ(setup.unit.submitted, 0);
}

TEST(IscsiTransfer, UnsolicitedDataThatWereNotAgreedOnFailTheCommand) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login({"InitialR2T=Yes", "ImmediateData=No"}), 0);
    initiator.send(initiator.write(0, 1), pattern(512, 1));
    auto response = initiator.receive();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->data[2 + 12], 0x0C);
    EXPECT_EQ(response->data[2 + 13], 0x0C);
    initiator.send(initiator.write(0, 1, 0x21));
    EXPECT_FALSE(initiator.receive());
    initiator.send(TestInitiator::data_out(initiator.tag, kReservedTag, 0, 0, true), pattern(512, 1));
    response = initiator.receive();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->data[2 + 13], 0x0C);
}

TEST(IscsiTransfer, DataDigestErrorIsRejectedAndEndsTheCommand) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login({"DataDigest=CRC32C"}), 0);
    initiator.break_data_digest = true;
    for (const bool immediate : {true, false}) {
        auto command = initiator.write(0, 1, immediate ? 0xA1 : 0xA1);
        if (immediate) {
            initiator.send(command, pattern(512, 1));
        } else {
            initiator.send(command);
            const auto r2t = initiator.receive();
            ASSERT_TRUE(r2t);
            initiator.send(TestInitiator::data_out(initiator.tag, r2t->header.get32(kTargetTransferTag), 0, 0, true),
                           pattern(512, 1));
        }
        const auto rejection = initiator.receive();
        ASSERT_TRUE(rejection);
        EXPECT_EQ(rejection->opcode(), Opcode::kReject);
        EXPECT_EQ(rejection->header.bytes[2], 2);
        const auto response = initiator.receive();
        ASSERT_TRUE(response);
        EXPECT_EQ(response->data[2 + 12], 0x47);
    }
    EXPECT_EQ(setup.entity.sessions()[0].counters.digest_errors, 2u);
    EXPECT_EQ(setup.unit.submitted, 0);
}

TEST(IscsiTransfer, HeaderDigestErrorDropsTheConnection) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login({"HeaderDigest=CRC32C"}), 0);
    auto bytes = initiator.encode(initiator.read(0, 1), {});
    bytes[33] ^= 1;
    initiator.send_bytes(bytes);
    EXPECT_TRUE(initiator.connection->over());
    EXPECT_EQ(setup.unit.nexuses, 0);
}

TEST(IscsiTransfer, DataSegmentBeyondTheDeclaredLengthDropsTheConnection) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    auto bytes = initiator.encode(initiator.write(0, 1), {});
    bytes[5] = 0x10;
    initiator.send_bytes(bytes);
    EXPECT_TRUE(initiator.connection->over());
}

TEST(IscsiTransfer, WithoutMemoryTheAnswerIsBusyOrTaskSetFull) {
    TestSetup setup({.connection_memory_bytes = 65'536});
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    initiator.send(initiator.write(0, 256)); // 128 KiB
    auto response = initiator.receive();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->header.bytes[3], 0x08);
    initiator.send(initiator.write(0, 128));
    ASSERT_TRUE(initiator.receive()); // R2T
    initiator.send(initiator.write(0, 1));
    response = initiator.receive();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->header.bytes[3], 0x28);
    initiator.send(initiator.read(0, 1));
    EXPECT_EQ(initiator.receive()->header.bytes[3], 0x08);
}

TEST(IscsiTransfer, DataForNoCommandAreIgnored) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    initiator.send(TestInitiator::data_out(77, 1, 0, 0, true), pattern(512, 1));
    EXPECT_FALSE(initiator.receive());
    initiator.send(initiator.read(0, 1));
    EXPECT_TRUE(initiator.receive());
}

} // namespace touka::scsi::iscsi
