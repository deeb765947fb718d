// Framing: digests, PDUs from bytes, PDUs to bytes.
#include <gtest/gtest.h>

#include <cstring>

#include "scsi/iscsi/buffer_pool.hpp"
#include "scsi/iscsi/output_queue.hpp"
#include "scsi/iscsi/pdu_receiver.hpp"

namespace touka::scsi::iscsi {

using namespace spec::iscsi;

namespace {

struct Recorder final : PduSink {
    std::uint8_t* begin(const BasicHeader& header, std::span<const std::uint8_t> ahs) override {
        ahs_bytes += ahs.size();
        memory.assign(header.data_bytes(), 0);
        return drop ? nullptr : memory.data();
    }
    void end(const BasicHeader& header, bool is_intact) override {
        headers.push_back(header);
        data.push_back(memory);
        intact.push_back(is_intact);
    }
    bool drop = false;
    std::size_t ahs_bytes = 0;
    std::vector<std::uint8_t> memory;
    std::vector<BasicHeader> headers;
    std::vector<std::vector<std::uint8_t>> data;
    std::vector<bool> intact;
};

struct Owner final : OutputOwner {
    void output_done() override { ++done; }
    int done = 0;
};

/// Puts bytes into a receiver, `piece` at a time.
StreamError feed(PduReceiver& receiver, std::span<const std::uint8_t> bytes, std::size_t piece) {
    while (!bytes.empty()) {
        std::size_t put = 0;
        for (const iovec& space : receiver.space()) {
            const std::size_t length = std::min({space.iov_len, bytes.size(), piece - put});
            if (length > 0) std::memcpy(space.iov_base, bytes.data(), length);
            bytes = bytes.subspan(length);
            put += length;
        }
        if (const StreamError error = receiver.received(put); error != StreamError::kNone) return error;
    }
    return StreamError::kNone;
}

/// Takes bytes out of a queue, `piece` at a time.
std::vector<std::uint8_t> drain(OutputQueue& queue, std::size_t piece) {
    std::vector<std::uint8_t> bytes;
    std::array<iovec, 7> pieces;
    while (const std::size_t count = queue.gather(pieces)) {
        std::size_t sent = 0;
        for (std::size_t i = 0; i < count && sent < piece; ++i) {
            const std::size_t length = std::min(pieces[i].iov_len, piece - sent);
            const auto* const first = static_cast<const std::uint8_t*>(pieces[i].iov_base);
            bytes.insert(bytes.end(), first, first + length);
            sent += length;
        }
        queue.sent(sent);
    }
    return bytes;
}

} // namespace

TEST(IscsiCrc32c, KnownValues) { // RFC 3720 appendix B.4
    std::vector<std::uint8_t> bytes(32, 0);
    EXPECT_EQ(crc32c(bytes), 0x8A9136AAu);
    bytes.assign(32, 0xFF);
    EXPECT_EQ(crc32c(bytes), 0x62A8AB43u);
    for (std::uint8_t i = 0; i < 32; ++i) bytes[i] = i;
    EXPECT_EQ(crc32c(bytes), 0x46DD794Eu);
}

TEST(IscsiCrc32c, TableAndInstructionAgreeOnAnyPieces) {
    std::vector<std::uint8_t> bytes(1000);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + i / 256);
    for (const std::size_t cut : {0u, 1u, 7u, 8u, 63u, 999u}) {
        Crc32c crc;
        crc.add(std::span(bytes).first(cut));
        crc.add(std::span(bytes).subspan(cut));
        EXPECT_EQ(crc.value(), ~crc32c_by_table(0xFFFF'FFFF, bytes));
    }
}

TEST(IscsiPduStream, WhatIsSentIsReceivedInPiecesOfAnySize) {
    for (const bool digests : {false, true}) {
        for (const std::size_t piece : {1u, 5u, 47u, 48u, 49u, 100u, 70'000u}) {
            OutputQueue queue;
            queue.set_digests(digests, digests);
            Owner owner;
            std::vector<std::uint8_t> data(70'000);
            for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::uint8_t>(i % 251);
            const std::array<std::size_t, 6> lengths{0, 1, 4, 4097, 70'000, 0};
            for (const std::size_t length : lengths) {
                queue.push(BasicHeader(Opcode::kDataIn).set(kInitiatorTaskTag, length), std::span(data).first(length),
                           &owner);
            }
            queue.push_owned(BasicHeader(Opcode::kTextResponse), {1, 2, 3});
            EXPECT_EQ(owner.done, 0);
            const auto bytes = drain(queue, piece);
            EXPECT_EQ(owner.done, 6);
            Recorder recorder;
            PduReceiver receiver(recorder);
            receiver.set_digests(digests, digests);
            receiver.set_data_segment_limit(70'000);
            ASSERT_EQ(feed(receiver, bytes, piece), StreamError::kNone);
            ASSERT_EQ(recorder.headers.size(), 7u);
            for (std::size_t i = 0; i < lengths.size(); ++i) {
                EXPECT_EQ(recorder.headers[i].task_tag(), lengths[i]);
                EXPECT_TRUE(recorder.intact[i]);
                EXPECT_TRUE(std::ranges::equal(recorder.data[i], std::span(data).first(lengths[i])));
            }
            EXPECT_EQ(recorder.data[6], (std::vector<std::uint8_t>{1, 2, 3}));
        }
    }
}

TEST(IscsiPduStream, BrokenDataAreToldAndTheNextPduIsFound) {
    OutputQueue queue;
    queue.set_digests(false, true);
    const std::vector<std::uint8_t> data(10, 1);
    queue.push(BasicHeader(Opcode::kDataOut), data);
    queue.push(BasicHeader(Opcode::kDataOut), data);
    auto bytes = drain(queue, 1000);
    bytes[48 + 11] ^= 1; // padding is under the digest, too
    for (const bool drop : {false, true}) {
        Recorder recorder;
        recorder.drop = drop;
        PduReceiver receiver(recorder);
        receiver.set_digests(false, true);
        ASSERT_EQ(feed(receiver, bytes, 9), StreamError::kNone);
        EXPECT_EQ(recorder.intact, (std::vector<bool>{false, true}));
    }
}

TEST(IscsiPduStream, BrokenHeadersAndTooLongDataEndTheStream) {
    OutputQueue queue;
    queue.set_digests(true, false);
    queue.push(BasicHeader(Opcode::kNopOut));
    auto bytes = drain(queue, 1000);
    bytes[20] ^= 0x10;
    Recorder recorder;
    PduReceiver receiver(recorder);
    receiver.set_digests(true, false);
    EXPECT_EQ(feed(receiver, bytes, 1000), StreamError::kHeaderDigest);
    PduReceiver other(recorder);
    bytes.resize(48);
    bytes[6] = 0x20;
    bytes[7] = 1; // 8193
    EXPECT_EQ(feed(other, bytes, 1000), StreamError::kDataSegmentTooLong);
    EXPECT_TRUE(recorder.headers.empty());
}

TEST(IscsiPduStream, AdditionalHeadersOfAnyLengthFit) {
    Recorder recorder;
    PduReceiver receiver(recorder);
    std::vector<std::uint8_t> bytes(48 + 1020);
    bytes[4] = 255;
    ASSERT_EQ(feed(receiver, bytes, 13), StreamError::kNone);
    EXPECT_EQ(recorder.ahs_bytes, 1020u);
}

TEST(IscsiOutputQueue, ClearingTellsOwners) {
    Owner owner;
    OutputQueue queue;
    const std::vector<std::uint8_t> data(8, 1);
    for (int i = 0; i < 40; ++i) queue.push(BasicHeader(Opcode::kDataIn), data, &owner);
    std::array<iovec, 3> pieces;
    ASSERT_EQ(queue.gather(pieces), 2u);
    queue.sent(50);
    queue.clear();
    EXPECT_EQ(owner.done, 40);
    EXPECT_TRUE(queue.empty());
    queue.push(BasicHeader(Opcode::kDataIn));
    EXPECT_EQ(drain(queue, 1000).size(), 48u);
}

TEST(IscsiBufferPool, PiecesAreBoundedAndUsedAgain) {
    BufferPool pool(64 * 1024, 8 * 1024);
    const auto a = pool.take(1);
    EXPECT_EQ(a.size(), 4096u);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a.data()) % 4096, 0u);
    const auto b = pool.take(33'000);
    EXPECT_TRUE(b.empty()) << "64 KiB and 4 KiB are too much";
    const auto c = pool.take(32'768);
    EXPECT_EQ(c.size(), 32'768u);
    EXPECT_EQ(pool.used_bytes(), 36'864u);
    pool.give_back(a);
    pool.give_back(c); // more than is kept
    EXPECT_EQ(pool.take(4096).data(), a.data());
    pool.give_back(a);
    EXPECT_EQ(pool.used_bytes(), 0u);
    pool.give_back({});
}

} // namespace touka::scsi::iscsi
