#include "scsi/reservation/transport_id.hpp"

#include <gtest/gtest.h>

#include <string>

namespace touka::scsi {
namespace {

using spec::scsi::ProtocolIdentifier;

/// An iSCSI TransportID with this text, zero-padded to `length` bytes of name.
std::vector<std::uint8_t> iscsi(std::uint8_t format, const std::string& text, std::size_t length) {
    std::vector<std::uint8_t> bytes{static_cast<std::uint8_t>(format << 6 | 5), 0,
                                    static_cast<std::uint8_t>(length >> 8), static_cast<std::uint8_t>(length)};
    bytes.insert(bytes.end(), text.begin(), text.end());
    bytes.resize(4 + length);
    return bytes;
}

TEST(TransportId, AnIscsiPortIsItsNameAndIsid) {
    const auto id = decode_transport_id(iscsi(1, "iqn.2026-01.test:a,i,0x00023D000001", 36));
    ASSERT_TRUE(id);
    EXPECT_EQ(id->port.protocol, ProtocolIdentifier::kIscsi);
    EXPECT_EQ(id->port.name, "iqn.2026-01.test:a,i,0x00023d000001");
    EXPECT_FALSE(id->whole_device);
    EXPECT_EQ(id->length_bytes, 40u);
}

TEST(TransportId, AnIscsiNameAloneIsTheWholeDevice) {
    const auto id = decode_transport_id(iscsi(0, "iqn.2026-01.test:a", 20));
    ASSERT_TRUE(id);
    EXPECT_EQ(id->port.name, "iqn.2026-01.test:a");
    EXPECT_TRUE(id->whole_device);
}

TEST(TransportId, FibreChannelAndSasHaveTheirNamesAtTheirPlaces) {
    std::vector<std::uint8_t> bytes(24);
    bytes[8] = 0x21;
    bytes[15] = 0x0A;
    const auto fibre_channel = decode_transport_id(bytes);
    ASSERT_TRUE(fibre_channel);
    EXPECT_EQ(fibre_channel->port, (InitiatorPort{ProtocolIdentifier::kFibreChannel, "210000000000000a"}));
    bytes = std::vector<std::uint8_t>(24);
    bytes[0] = 6;
    bytes[4] = 0x50;
    bytes[11] = 0x01;
    const auto sas = decode_transport_id(bytes);
    ASSERT_TRUE(sas);
    EXPECT_EQ(sas->port, (InitiatorPort{ProtocolIdentifier::kSas, "5000000000000001"}));
    EXPECT_EQ(sas->length_bytes, 24u);
}

TEST(TransportId, WhatIsEncodedIsDecodedAlike) {
    for (const InitiatorPort& port : {InitiatorPort{ProtocolIdentifier::kIscsi, "iqn.2026-01.test:a,i,0x00023d000001"},
                                      InitiatorPort{ProtocolIdentifier::kIscsi, "iqn.2026-01.test:a"},
                                      InitiatorPort{ProtocolIdentifier::kIscsi, "x,i,0x00023d000001"},
                                      InitiatorPort{ProtocolIdentifier::kIscsi, std::string(223, 'n')},
                                      InitiatorPort{ProtocolIdentifier::kFibreChannel, "2100001b32000001"},
                                      InitiatorPort{ProtocolIdentifier::kSas, "5000c50000000001"},
                                      InitiatorPort{ProtocolIdentifier::kNone, "virtio:3"}}) {
        SCOPED_TRACE(port.name);
        const auto bytes = encode_transport_id(port);
        EXPECT_EQ(bytes.size() % 4, 0u);
        EXPECT_GE(bytes.size(), 24u);
        const auto id = decode_transport_id(bytes);
        ASSERT_TRUE(id);
        EXPECT_EQ(id->port, port);
        EXPECT_EQ(id->length_bytes, bytes.size());
    }
}

TEST(TransportId, ANameThatIsNoNumberAndOneThatIsTooLongStillEncode) {
    EXPECT_EQ(encode_transport_id({ProtocolIdentifier::kSas, "not a number"}), ([] {
                  std::vector<std::uint8_t> zero(24);
                  zero[0] = 6;
                  return zero;
              }()));
    EXPECT_LT(encode_transport_id({ProtocolIdentifier::kIscsi, std::string(100'000, 'n')}).size(), 260u);
}

TEST(TransportId, TheLongestNameIsTakenAndOneByteMoreIsNot) {
    EXPECT_TRUE(decode_transport_id(iscsi(0, std::string(223, 'n'), 224)));
    EXPECT_FALSE(decode_transport_id(iscsi(0, std::string(224, 'n'), 228)));
    EXPECT_TRUE(decode_transport_id(iscsi(1, std::string(223, 'n') + ",i,0x000000000001", 244)));
    EXPECT_FALSE(decode_transport_id(iscsi(1, std::string(224, 'n') + ",i,0x000000000001", 244)));
}

TEST(TransportId, WrongLengthsAreRefused) {
    const auto good = iscsi(1, "iqn.2026-01.test:a,i,0x00023d000001", 36);
    for (std::size_t length = 0; length < good.size(); ++length) {
        EXPECT_FALSE(decode_transport_id(std::span(good).first(length))) << length;
    }
    EXPECT_FALSE(decode_transport_id(iscsi(0, "iqn.a", 16))); // less than 20
    EXPECT_FALSE(decode_transport_id(iscsi(0, "iqn.a", 21))); // no multiple of 4
    EXPECT_FALSE(decode_transport_id(std::vector<std::uint8_t>(23)));
}

TEST(TransportId, NamesThatNoPortCanHaveAreRefused) {
    EXPECT_FALSE(decode_transport_id(iscsi(0, "", 20)));
    EXPECT_FALSE(decode_transport_id(iscsi(0, "iqn a", 20)));
    EXPECT_FALSE(decode_transport_id(iscsi(0, "iqn\na", 20)));
    EXPECT_FALSE(decode_transport_id(iscsi(0, std::string(20, 'n'), 20)));           // no zero at its end
    EXPECT_FALSE(decode_transport_id(iscsi(0, std::string("iqn\0hidden", 10), 20))); // something behind it
    EXPECT_FALSE(decode_transport_id(iscsi(0, "iqn.a,i,0x000000000001", 24)));       // ISID in format 00b
    EXPECT_FALSE(decode_transport_id(iscsi(1, "iqn.2026-01.test:a", 20)));           // none in format 01b
    EXPECT_FALSE(decode_transport_id(iscsi(1, ",i,0x000000000001", 20)));            // no name
    EXPECT_FALSE(decode_transport_id(iscsi(1, "iqn.a,t,0x000000000001", 24)));       // a target port
    EXPECT_FALSE(decode_transport_id(iscsi(1, "iqn.a,i,0x00000000001", 24)));        // 11 digits
    EXPECT_FALSE(decode_transport_id(iscsi(1, "iqn.a,i,0x00000000000g", 24)));       // no digit
    EXPECT_FALSE(decode_transport_id(iscsi(1, "iqn.a,i,0x000000000001,i,0x000000000001", 44)));
}

TEST(TransportId, UnknownProtocolsAndFormatsAreRefused) {
    for (unsigned first = 0; first < 256; ++first) {
        std::vector<std::uint8_t> bytes(24);
        bytes[0] = static_cast<std::uint8_t>(first);
        EXPECT_EQ(decode_transport_id(bytes).has_value(), first == 0x00 || first == 0x06) << first;
    }
}

} // namespace
} // namespace touka::scsi
