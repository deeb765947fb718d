// Text requests, in discovery and normal sessions.
#include <gtest/gtest.h>

#include "scsi/iscsi/test_initiator.hpp"

namespace touka::scsi::iscsi {

using namespace spec::iscsi;

namespace {

void discover(TestInitiator& initiator, const std::string& more = "X=1") {
    const auto response =
        initiator.login_step(0x87, {"SessionType=Discovery", "InitiatorName=" + initiator.name, more});
    ASSERT_TRUE(response);
    ASSERT_EQ(response->login_status(), 0);
}

std::string pairs_of(std::initializer_list<std::string> pairs) {
    std::string text;
    for (const std::string& pair : pairs) text += pair + '\0';
    return text;
}

const std::string kTarget = "TargetName=iqn.2026-01.test:target";

} // namespace

TEST(IscsiDiscovery, AllTargetsComeWithAllTheirPortals) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    discover(initiator);
    initiator.send_text(initiator.request(Opcode::kTextRequest), pairs_of({"SendTargets=All"}));
    const auto response = initiator.receive();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->opcode(), Opcode::kTextResponse);
    EXPECT_EQ(response->header.flags(), kFinal);
    // The wildcard portal is told by the address that the initiator has used.
    EXPECT_EQ(response->text(),
              pairs_of({kTarget, "TargetAddress=192.0.2.1:3260,1", "TargetAddress=198.51.100.1:3261,2"}));
}

TEST(IscsiDiscovery, WhoMayNotLogInIsNotTold) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    discover(initiator);
    setup.policy.forbidden = initiator.name;
    initiator.send_text(initiator.request(Opcode::kTextRequest), pairs_of({"SendTargets=All"}));
    EXPECT_EQ(initiator.receive()->text(), "");
}

TEST(IscsiDiscovery, OneTargetByItsName) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    discover(initiator);
    initiator.send_text(initiator.request(Opcode::kTextRequest),
                        pairs_of({"SendTargets=iqn.2026-01.test:target", "Y=2"}));
    auto response = initiator.receive();
    EXPECT_TRUE(response->text().starts_with(kTarget));
    EXPECT_EQ(response->key("Y"), "NotUnderstood");
    initiator.send_text(initiator.request(Opcode::kTextRequest), pairs_of({"SendTargets=iqn.other"}));
    EXPECT_EQ(initiator.receive()->text(), "");
}

TEST(IscsiDiscovery, NormalSessionTellsOfItsOwnTargetOnly) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    initiator.send_text(initiator.request(Opcode::kTextRequest), pairs_of({"SendTargets="}));
    EXPECT_TRUE(initiator.receive()->text().starts_with(kTarget));
    initiator.send_text(initiator.request(Opcode::kTextRequest), pairs_of({"SendTargets=All"}));
    EXPECT_EQ(initiator.receive()->key("SendTargets"), "Reject");
}

TEST(IscsiDiscovery, LongAnswersAreFetchedPieceByPiece) {
    TestSetup setup;
    std::vector<TargetNode> nodes;
    for (int i = 100; i < 120; ++i) {
        nodes.push_back(
            {.name = "iqn.2026-01.test:disk" + std::to_string(i), .target = &setup.target, .portals = {{.portal = 1}}});
    }
    setup.entity.set_targets(std::move(nodes));
    TestInitiator initiator(setup.entity);
    discover(initiator, "MaxRecvDataSegmentLength=512");
    initiator.send_text(initiator.request(Opcode::kTextRequest), pairs_of({"SendTargets=All"}));
    std::string text;
    auto response = initiator.receive();
    unsigned pieces = 1;
    for (; response->header.flags() == kContinue; ++pieces) {
        EXPECT_EQ(response->data.size(), 512u);
        text += response->text();
        auto more = initiator.request(Opcode::kTextRequest);
        initiator.send(more.set(kTargetTransferTag, response->header.get(kTargetTransferTag)));
        response = initiator.receive();
        ASSERT_TRUE(response);
    }
    text += response->text();
    EXPECT_EQ(response->header.flags(), kFinal);
    EXPECT_GT(pieces, 2u);
    EXPECT_EQ(parse_text(text)->size(), 40u);
}

TEST(IscsiDiscovery, RequestInSeveralPdus) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    discover(initiator);
    initiator.send_text(initiator.request(Opcode::kTextRequest, kContinue), "SendTar");
    auto response = initiator.receive();
    EXPECT_EQ(response->header.flags(), 0);
    auto rest = initiator.request(Opcode::kTextRequest);
    initiator.send_text(rest.set(kTargetTransferTag, response->header.get(kTargetTransferTag)), pairs_of({"gets=All"}));
    EXPECT_TRUE(initiator.receive()->text().starts_with(kTarget));
}

TEST(IscsiDiscovery, UnknownTransferTagIsRejected) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    discover(initiator);
    initiator.send_text(initiator.request(Opcode::kTextRequest).set(kTargetTransferTag, 5), pairs_of({"A=b"}));
    EXPECT_EQ(initiator.receive()->opcode(), Opcode::kReject);
}

TEST(IscsiDiscovery, CommandsAreNotForDiscoverySessions) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    discover(initiator);
    initiator.send(initiator.read(0, 1));
    EXPECT_EQ(initiator.receive()->opcode(), Opcode::kReject);
    initiator.send(initiator.write(0, 1), pattern(512, 1));
    EXPECT_EQ(initiator.receive()->opcode(), Opcode::kReject);
    initiator.send(initiator.immediate_request(Opcode::kTaskManagementRequest, 0x85));
    EXPECT_EQ(initiator.receive()->opcode(), Opcode::kReject);
    initiator.send(initiator.request(Opcode::kLogoutRequest, 0x80));
    EXPECT_EQ(initiator.receive()->opcode(), Opcode::kLogoutResponse);
}

TEST(IscsiDiscovery, LongestDataSegmentMayBeDeclaredAnew) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login(), 0);
    initiator.send_text(initiator.request(Opcode::kTextRequest), pairs_of({"MaxRecvDataSegmentLength=512"}));
    ASSERT_TRUE(initiator.receive());
    initiator.send(initiator.read(0, 2));
    EXPECT_EQ(initiator.receive()->data.size(), 512u);
}

} // namespace touka::scsi::iscsi
