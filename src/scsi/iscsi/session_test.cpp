// Sessions from login to logout, over a connection without a socket.
#include <gtest/gtest.h>

#include "scsi/iscsi/test_initiator.hpp"

namespace touka::scsi::iscsi {

using namespace spec::iscsi;

TEST(IscsiSession, LoginMakesANexusNamedByInitiatorAndIsid) {
    TestSetup setup;
    TestInitiator initiator(setup.entity, 1);
    const auto response = initiator.login_step(
        0x87, {"InitiatorName=" + initiator.name, "TargetName=" + initiator.target_name, "InitialR2T=No"});
    ASSERT_TRUE(response);
    EXPECT_EQ(response->login_status(), 0);
    EXPECT_EQ(response->header.flags(), 0x87);
    EXPECT_NE(response->header.get(kTsih), 0u);
    EXPECT_EQ(response->header.get32(kExpCmdSn), 100u);
    EXPECT_EQ(response->key("TargetPortalGroupTag"), "2");
    EXPECT_EQ(response->key("TargetAlias"), "disk");
    EXPECT_EQ(response->key("InitialR2T"), "No");
    EXPECT_EQ(response->key("MaxRecvDataSegmentLength"), "262144");
    EXPECT_EQ(setup.unit.nexuses, 1);
    EXPECT_EQ(setup.unit.last_nexus.initiator.name, initiator.name + ",i,0x400000000001");
    EXPECT_EQ(setup.unit.last_nexus.target_port, 2);
    EXPECT_EQ(setup.entity.sessions().size(), 1u);
}

TEST(IscsiSession, LosingTheWireClosesTheNexus) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    setup.unit.hold = setup.unit.hold_aborted = true;
    initiator.send(initiator.read(0, 1));
    initiator.send(initiator.write(0, 64)); // its data never come
    EXPECT_EQ(setup.unit.held(), 1u);
    initiator.disconnect();
    EXPECT_EQ(setup.unit.nexuses, 1) << "the unit still has a task";
    setup.unit.release();
    EXPECT_EQ(setup.unit.nexuses, 0);
    setup.entity.collect();
    EXPECT_TRUE(setup.entity.sessions().empty());
    EXPECT_EQ(setup.entity.buffers().used_bytes(), 0u);
}

TEST(IscsiSession, LoginAgainWaitsUntilTheOldNexusIsGone) {
    TestSetup setup;
    TestInitiator old(setup.entity), fresh(setup.entity);
    ASSERT_EQ(old.login(), 0);
    setup.unit.hold = setup.unit.hold_aborted = true;
    old.send(old.read(0, 1));
    EXPECT_EQ(fresh.login(), 0xFFFF) << "no answer yet";
    EXPECT_TRUE(old.connection->over());
    setup.unit.release();
    const auto response = fresh.receive();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->login_status(), 0);
    EXPECT_EQ(setup.unit.nexuses, 1);
    setup.unit.hold = false;
    fresh.send(fresh.read(0, 1));
    ASSERT_TRUE(fresh.receive());
}

TEST(IscsiSession, LoginAgainEndsAnIdleSessionAtOnce) {
    TestSetup setup;
    TestInitiator old(setup.entity), fresh(setup.entity);
    ASSERT_EQ(old.login(), 0);
    ASSERT_EQ(fresh.login(), 0);
    EXPECT_TRUE(old.connection->over());
    EXPECT_FALSE(fresh.connection->over());
    EXPECT_EQ(setup.unit.nexuses, 1);
}

TEST(IscsiSession, OfTwoLoginsThatWaitTheLaterOneStays) {
    TestSetup setup;
    TestInitiator old(setup.entity), second(setup.entity), third(setup.entity);
    ASSERT_EQ(old.login(), 0);
    setup.unit.hold = setup.unit.hold_aborted = true;
    old.send(old.read(0, 1));
    EXPECT_EQ(second.login(), 0xFFFF);
    EXPECT_EQ(third.login(), 0xFFFF);
    setup.unit.release();
    EXPECT_TRUE(second.connection->over());
    EXPECT_FALSE(third.connection->over());
    EXPECT_EQ(third.receive()->login_status(), 0);
    EXPECT_EQ(setup.unit.nexuses, 1);
}

TEST(IscsiSession, AnotherIsidOrPortalIsAnotherSession) {
    TestSetup setup;
    TestInitiator a(setup.entity, 0), b(setup.entity, 1), c(setup.entity, 0);
    c.isid = 0x4000'0000'0002;
    EXPECT_EQ(a.login(), 0);
    EXPECT_EQ(b.login(), 0);
    EXPECT_EQ(c.login(), 0);
    EXPECT_EQ(setup.unit.nexuses, 3);
    EXPECT_FALSE(a.connection->over());
}

TEST(IscsiSession, CommandsBehindTheLoginInOneSegmentAreExecuted) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    const std::string text = "InitiatorName=" + initiator.name + '\0' + "TargetName=" + initiator.target_name + '\0';
    auto bytes = initiator.encode(initiator.login_request(0x87),
                                  {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    const auto command = initiator.encode(initiator.read(0, 1), {});
    bytes.insert(bytes.end(), command.begin(), command.end());
    initiator.send_bytes(bytes);
    ASSERT_TRUE(initiator.receive());
    const auto data = initiator.receive();
    ASSERT_TRUE(data);
    EXPECT_EQ(data->opcode(), Opcode::kDataIn);
}

TEST(IscsiSession, LogoutIsAnsweredAndEndsTheConnection) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    initiator.send(initiator.request(Opcode::kLogoutRequest, 0x80));
    EXPECT_FALSE(initiator.connection->over());
    const auto response = initiator.receive();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->opcode(), Opcode::kLogoutResponse);
    EXPECT_EQ(response->header.bytes[2], 0);
    EXPECT_TRUE(initiator.connection->over());
}

TEST(IscsiSession, LogoutForRecoveryOrOfAnotherConnectionIsRefused) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    initiator.send(initiator.request(Opcode::kLogoutRequest, 0x82));
    EXPECT_EQ(initiator.receive()->header.bytes[2], 2);
    initiator.send(initiator.request(Opcode::kLogoutRequest, 0x81).set(kCid, 7));
    EXPECT_EQ(initiator.receive()->header.bytes[2], 1);
    EXPECT_FALSE(initiator.connection->over());
}

TEST(IscsiSession, NopOutIsEchoed) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    const auto data = pattern(21, 3);
    initiator.send(initiator.request(Opcode::kNopOut), data);
    const auto response = initiator.receive();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->opcode(), Opcode::kNopIn);
    EXPECT_EQ(response->data, data);
    EXPECT_EQ(response->header.get32(kExpCmdSn), 101u);
}

TEST(IscsiSession, SilentInitiatorIsPingedAndThenDropped) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    constexpr std::uint64_t kSecond = 1'000'000'000;
    setup.timers.advance(20 * kSecond);
    auto ping = initiator.receive();
    ASSERT_TRUE(ping);
    EXPECT_EQ(ping->opcode(), Opcode::kNopIn);
    EXPECT_NE(ping->header.get32(kTargetTransferTag), kReservedTag);
    auto answer = initiator.immediate_request(Opcode::kNopOut);
    answer.set(kInitiatorTaskTag, kReservedTag).set(kTargetTransferTag, ping->header.get(kTargetTransferTag));
    initiator.send(answer);
    setup.timers.advance(10 * kSecond);
    EXPECT_FALSE(initiator.connection->over());
    EXPECT_FALSE(initiator.receive());
    setup.timers.advance(40 * kSecond);
    EXPECT_TRUE(initiator.connection->over());
}

TEST(IscsiSession, LoginThatTakesTooLongIsDropped) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    setup.timers.advance(20'000'000'000);
    EXPECT_TRUE(initiator.connection->over());
}

TEST(IscsiSession, TooManyLoginsAtOnceAreNotTaken) {
    TestSetup setup({.logins = 2});
    TestInitiator a(setup.entity), b(setup.entity), c(setup.entity);
    EXPECT_EQ(c.connection, nullptr);
    ASSERT_EQ(a.login(), 0);
    TestInitiator d(setup.entity);
    EXPECT_NE(d.connection, nullptr);
}

TEST(IscsiSession, ReplacingTheTargetsKeepsSessionsOfThoseThatStay) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    setup.list();
    EXPECT_FALSE(initiator.connection->over());
    bool done = false;
    setup.unit.hold = setup.unit.hold_aborted = true;
    initiator.send(initiator.read(0, 1));
    setup.entity.set_targets({}, [&] { done = true; });
    EXPECT_TRUE(initiator.connection->over());
    setup.entity.collect();
    EXPECT_FALSE(done);
    setup.unit.release();
    setup.entity.collect();
    EXPECT_TRUE(done);
}

TEST(IscsiSession, ShutDownAsksForLogoutAndThenDrops) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    bool done = false;
    setup.entity.shut_down(3, [&] { done = true; });
    const auto message = initiator.receive();
    ASSERT_TRUE(message);
    EXPECT_EQ(message->opcode(), Opcode::kAsynchronousMessage);
    EXPECT_EQ(message->header.get(kAsyncEvent), 1u);
    EXPECT_EQ(message->header.get(kAsyncParameter3), 3u);
    setup.timers.advance(5'000'000'000);
    EXPECT_TRUE(initiator.connection->over());
    initiator.disconnect();
    setup.entity.collect();
    EXPECT_TRUE(done);
}

TEST(IscsiSession, MaskingChangesReachTheSession) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    RamUnit other(16);
    setup.policy.mapped.push_back({Lun::from_number(1), &other});
    setup.entity.access_changed();
    EXPECT_EQ(other.nexuses, 1);
    EXPECT_EQ(setup.unit.inventory_changes, 1);
    setup.policy.forbidden = initiator.name;
    setup.entity.access_changed();
    EXPECT_TRUE(initiator.connection->over());
    EXPECT_EQ(other.nexuses, 0);
}

TEST(IscsiSession, OperatorCanEndASession) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    EXPECT_TRUE(setup.entity.drop_session(setup.entity.sessions()[0].tsih));
    EXPECT_FALSE(setup.entity.drop_session(0));
    EXPECT_TRUE(initiator.connection->over());
}

TEST(IscsiSession, InitiatorThatDoesNotReadIsNotListenedTo) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login({"MaxRecvDataSegmentLength=262144"}), 0);
    const auto data = pattern(200'000, 1);
    int sent = 0;
    for (; sent < 1000 && initiator.connection->wants_input(); ++sent) {
        initiator.send(initiator.immediate_request(Opcode::kNopOut), data);
    }
    EXPECT_EQ(sent, 6);
    int received = 0;
    while (initiator.receive()) ++received;
    EXPECT_EQ(received, sent);
    EXPECT_TRUE(initiator.connection->wants_input());
}

TEST(IscsiSession, SenseDataWithoutACommandGoAsAMessage) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    const std::uint16_t tsih = setup.entity.sessions()[0].tsih;
    EXPECT_FALSE(setup.entity.report_sense(static_cast<std::uint16_t>(tsih + 1), {}, {}));
    setup.entity.report_sense(
        tsih, Lun::from_number(0),
        encode(Sense::unit_attention(SenseCode::kReportedLunsDataHasChanged), SenseFormat::kFixed));
    const auto message = initiator.receive();
    ASSERT_TRUE(message);
    EXPECT_EQ(message->header.get(kAsyncEvent), 0u);
    EXPECT_EQ(message->data.size(), 20u);
    EXPECT_EQ(message->data[1], 18);
}

} // namespace touka::scsi::iscsi
