#include "scsi/iscsi/login.hpp"

#include <gtest/gtest.h>

#include "scsi/iscsi/test_initiator.hpp"

namespace touka::scsi::iscsi {

using namespace spec::iscsi;

namespace {

std::uint16_t code(LoginStatus status) { return static_cast<std::uint16_t>(status); }

std::vector<std::string> names(const TestInitiator& initiator) {
    return {"InitiatorName=" + initiator.name, "TargetName=" + initiator.target_name};
}

/// The initiator's part of CHAP.
std::vector<std::string> proof(const TestPdu& challenge, const ChapSecret& secret, ChapAlgorithm algorithm) {
    const auto bytes = parse_binary(challenge.key("CHAP_C"), 1024);
    const auto identifier = parse_number(challenge.key("CHAP_I"));
    return {"CHAP_N=" + secret.name,
            "CHAP_R=" +
                hexadecimal(chap_response(algorithm, static_cast<std::uint8_t>(*identifier), secret.secret, *bytes))};
}

const ChapSecret kInitiatorSecret{"user", "a secret of the initiator"};
const ChapSecret kTargetSecret{"disk", "another one of the target"};

} // namespace

TEST(IscsiLogin, UnknownTargetsAndForbiddenInitiatorsAreRefused) {
    TestSetup setup;
    {
        TestInitiator initiator(setup.entity);
        initiator.target_name = "iqn.2026-01.test:nothing";
        EXPECT_EQ(initiator.login(), code(LoginStatus::kNotFound));
        EXPECT_TRUE(initiator.connection->over());
    }
    {
        TestInitiator initiator(setup.entity, 2); // the target is not at this portal
        EXPECT_EQ(initiator.login(), code(LoginStatus::kNotFound));
    }
    TestInitiator initiator(setup.entity);
    setup.policy.forbidden = initiator.name;
    EXPECT_EQ(initiator.login(), code(LoginStatus::kAuthorizationFailure));
}

TEST(IscsiLogin, MissingNamesAreRefused) {
    TestSetup setup;
    for (const std::vector<std::string>& pairs :
         {std::vector<std::string>{"TargetName=iqn.2026-01.test:target"}, {"InitiatorName=iqn.2026-01.test:i"}, {}}) {
        TestInitiator initiator(setup.entity);
        EXPECT_EQ(initiator.login_step(0x87, pairs)->login_status(), code(LoginStatus::kMissingParameter));
    }
}

TEST(IscsiLogin, WhatCannotBeIsAnInitiatorsError) {
    TestSetup setup;
    for (const char* pair : {"MaxRecvDataSegmentLength=511", "MaxRecvDataSegmentLength=x", "SessionType=Other",
                             "TargetAlias=a", "no equals sign", "=empty", "CHAP_N=a", "InitiatorName=again"}) {
        TestInitiator initiator(setup.entity);
        auto pairs = names(initiator);
        pairs.emplace_back(pair);
        EXPECT_EQ(initiator.login_step(0x87, pairs)->login_status(), code(LoginStatus::kInitiatorError)) << pair;
    }
    for (const int flags : {0x84, 0x85, 0x86, 0x8C, 0xC7, 0x08}) {
        TestInitiator initiator(setup.entity);
        EXPECT_EQ(initiator.login_step(static_cast<std::uint8_t>(flags), names(initiator))->login_status(),
                  code(LoginStatus::kInitiatorError))
            << flags;
    }
}

TEST(IscsiLogin, VersionAboveZeroIsNotSupported) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    auto header = initiator.login_request(0x87);
    header.bytes[2] = header.bytes[3] = 1;
    initiator.send(header);
    EXPECT_EQ(initiator.receive()->login_status(), code(LoginStatus::kUnsupportedVersion));
}

TEST(IscsiLogin, OtherPdusAreNotForThisPhase) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    initiator.send(initiator.read(0, 1));
    EXPECT_EQ(initiator.receive()->login_status(), code(LoginStatus::kInvalidDuringLogin));
    EXPECT_TRUE(initiator.connection->over());
}

TEST(IscsiLogin, SecondConnectionOfASessionIsRefused) {
    TestSetup setup;
    TestInitiator first(setup.entity);
    ASSERT_EQ(first.login(), 0);
    for (const int tsih : {int{setup.entity.sessions()[0].tsih}, 0x7777}) {
        TestInitiator second(setup.entity);
        const std::string text = names(second)[0] + '\0' + names(second)[1] + '\0';
        second.send_text(second.login_request(0x87).set(kTsih, static_cast<std::uint64_t>(tsih)), text);
        EXPECT_EQ(second.receive()->login_status(),
                  code(tsih == 0x7777 ? LoginStatus::kSessionDoesNotExist : LoginStatus::kTooManyConnections));
    }
    EXPECT_FALSE(first.connection->over());
}

TEST(IscsiLogin, BothStagesOneAfterTheOther) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    auto pairs = names(initiator);
    pairs.emplace_back("AuthMethod=CHAP,None");
    auto response = initiator.login_step(0x81, pairs);
    EXPECT_EQ(response->header.flags(), 0x81);
    EXPECT_EQ(response->key("AuthMethod"), "None");
    EXPECT_EQ(response->key("MaxRecvDataSegmentLength"), "-");
    response = initiator.login_step(0x04, {"MaxBurstLength=1024"});
    EXPECT_EQ(response->header.flags(), 0x04);
    EXPECT_EQ(response->key("MaxBurstLength"), "1024");
    response = initiator.login_step(0x87, {});
    EXPECT_EQ(response->header.flags(), 0x87);
    EXPECT_EQ(setup.unit.nexuses, 1);
}

TEST(IscsiLogin, StageCannotBeChangedWithoutTransit) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    ASSERT_EQ(initiator.login_step(0x00, names(initiator))->header.flags(), 0x00);
    EXPECT_EQ(initiator.login_step(0x87, {})->login_status(), code(LoginStatus::kInvalidDuringLogin));
}

TEST(IscsiLogin, KeysInSeveralPdusAreOneRequest) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    const std::string text = names(initiator)[0] + '\0' + names(initiator)[1] + '\0';
    initiator.send_text(initiator.login_request(0x44), text.substr(0, 30));
    auto response = initiator.receive();
    EXPECT_EQ(response->header.flags(), 0x04);
    EXPECT_TRUE(response->data.empty());
    initiator.send_text(initiator.login_request(0x87), text.substr(30));
    response = initiator.receive();
    EXPECT_EQ(response->login_status(), 0);
    EXPECT_EQ(response->header.flags(), 0x87);
}

TEST(IscsiLogin, EndlessRequestIsCutOff) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    const std::string text(8192, 'a');
    for (int i = 0; i < 8; ++i) {
        initiator.send_text(initiator.login_request(0x44), text);
        ASSERT_EQ(initiator.receive()->login_status(), 0);
    }
    initiator.send_text(initiator.login_request(0x44), text);
    EXPECT_EQ(initiator.receive()->login_status(), code(LoginStatus::kInitiatorError));
}

TEST(IscsiLogin, LongAnswerComesInSeveralPdus) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    std::string text = names(initiator)[0] + '\0' + names(initiator)[1] + '\0';
    for (int i = 100; i < 250; ++i) text += "X-" + std::string(40, 'k') + std::to_string(i) + "=1" + '\0';
    initiator.send_text(initiator.login_request(0x44), text.substr(0, 4000));
    ASSERT_TRUE(initiator.receive());
    initiator.send_text(initiator.login_request(0x87), text.substr(4000));
    auto response = initiator.receive();
    EXPECT_EQ(response->header.flags(), 0x44);
    std::string answer = response->text();
    EXPECT_EQ(answer.size(), 8192u);
    response = initiator.login_step(0x87, {});
    EXPECT_EQ(response->header.flags(), 0x87);
    answer += response->text();
    EXPECT_EQ(parse_text(answer)->size(), 2u + 150u + 1u);
}

TEST(IscsiLogin, ChapLetsInWhoKnowsTheSecret) {
    for (const ChapAlgorithm algorithm :
         {ChapAlgorithm::kMd5, ChapAlgorithm::kSha1, ChapAlgorithm::kSha256, ChapAlgorithm::kSha3}) {
        TestSetup setup;
        setup.policy.required.initiator = kInitiatorSecret;
        TestInitiator initiator(setup.entity);
        auto pairs = names(initiator);
        pairs.emplace_back("AuthMethod=None,CHAP");
        EXPECT_EQ(initiator.login_step(0x81, pairs)->header.flags(), 0x00);
        const auto challenge =
            initiator.login_step(0x00, {"CHAP_A=99," + std::to_string(static_cast<int>(algorithm)) + ",5"});
        EXPECT_EQ(challenge->key("CHAP_A"), std::to_string(static_cast<int>(algorithm)));
        EXPECT_EQ(initiator.login_step(0x81, proof(*challenge, kInitiatorSecret, algorithm))->header.flags(), 0x81);
        EXPECT_EQ(initiator.login_step(0x87, {})->header.flags(), 0x87);
    }
}

TEST(IscsiLogin, ChapKeepsOutWhoDoesNot) {
    TestSetup setup;
    setup.policy.required.initiator = kInitiatorSecret;
    for (const ChapSecret& wrong : {ChapSecret{"user", "guess"}, ChapSecret{"User", kInitiatorSecret.secret}}) {
        TestInitiator initiator(setup.entity);
        auto pairs = names(initiator);
        pairs.emplace_back("AuthMethod=CHAP");
        ASSERT_TRUE(initiator.login_step(0x00, pairs));
        const auto challenge = initiator.login_step(0x00, {"CHAP_A=5"});
        EXPECT_EQ(initiator.login_step(0x81, proof(*challenge, wrong, ChapAlgorithm::kMd5))->login_status(),
                  code(LoginStatus::kAuthenticationFailure));
    }
}

TEST(IscsiLogin, RequiredChapCannotBeLeftOut) {
    TestSetup setup;
    setup.policy.required.initiator = kInitiatorSecret;
    const auto refused = [&](std::uint8_t flags, const char* pair) {
        TestInitiator initiator(setup.entity);
        auto pairs = names(initiator);
        if (pair != nullptr) pairs.emplace_back(pair);
        return initiator.login_step(flags, pairs)->login_status() == code(LoginStatus::kAuthenticationFailure);
    };
    EXPECT_TRUE(refused(0x87, nullptr));
    EXPECT_TRUE(refused(0x81, nullptr));
    EXPECT_TRUE(refused(0x83, nullptr));
    EXPECT_TRUE(refused(0x81, "AuthMethod=None"));
    EXPECT_TRUE(refused(0x81, "CHAP_N=user"));
    EXPECT_EQ(setup.unit.nexuses, 0);
}

TEST(IscsiLogin, TargetProvesItselfWhenAsked) {
    TestSetup setup;
    setup.policy.required = {.initiator = kInitiatorSecret, .target = kTargetSecret};
    TestInitiator initiator(setup.entity);
    auto pairs = names(initiator);
    pairs.emplace_back("AuthMethod=CHAP");
    ASSERT_TRUE(initiator.login_step(0x00, pairs));
    const auto challenge = initiator.login_step(0x00, {"CHAP_A=7"});
    auto answer = proof(*challenge, kInitiatorSecret, ChapAlgorithm::kSha256);
    answer.emplace_back("CHAP_I=9");
    answer.emplace_back("CHAP_C=0bAQIDBA==");
    const auto response = initiator.login_step(0x81, answer);
    EXPECT_EQ(response->header.flags(), 0x81);
    EXPECT_EQ(response->key("CHAP_N"), "disk");
    const std::vector<std::uint8_t> bytes{1, 2, 3, 4};
    EXPECT_EQ(response->key("CHAP_R"),
              hexadecimal(chap_response(ChapAlgorithm::kSha256, 9, kTargetSecret.secret, bytes)));
}

TEST(IscsiLogin, ReflectedChallengeOrSharedSecretIsRefused) {
    for (const bool reflect : {true, false}) {
        TestSetup setup;
        setup.policy.required = {.initiator = kInitiatorSecret, .target = kTargetSecret};
        if (!reflect) setup.policy.required.target->secret = kInitiatorSecret.secret;
        TestInitiator initiator(setup.entity);
        auto pairs = names(initiator);
        pairs.emplace_back("AuthMethod=CHAP");
        ASSERT_TRUE(initiator.login_step(0x00, pairs));
        const auto challenge = initiator.login_step(0x00, {"CHAP_A=5"});
        auto answer = proof(*challenge, kInitiatorSecret, ChapAlgorithm::kMd5);
        answer.push_back("CHAP_I=9");
        answer.push_back("CHAP_C=" + (reflect ? challenge->key("CHAP_C") : "0x1234"));
        EXPECT_EQ(initiator.login_step(0x81, answer)->login_status(), code(LoginStatus::kAuthenticationFailure));
    }
}

TEST(IscsiLogin, AnswersToOperationalKeys) {
    struct Case {
        const char* offer;
        const char* answer;
    };
    TestSetup setup;
    for (const Case& c : {Case{"HeaderDigest=CRC32C,None", "CRC32C"},
                          {"HeaderDigest=None,CRC32C", "None"},
                          {"DataDigest=MD5", "Reject"},
                          {"MaxConnections=8", "1"},
                          {"MaxConnections=0", "Reject"},
                          {"InitialR2T=Yes", "Yes"},
                          {"InitialR2T=maybe", "Reject"},
                          {"ImmediateData=No", "No"},
                          {"MaxBurstLength=16776192", "1048576"},
                          {"MaxBurstLength=0x1000", "4096"},
                          {"FirstBurstLength=512", "512"},
                          {"FirstBurstLength=16777216", "Reject"},
                          {"DefaultTime2Wait=5", "5"},
                          {"DefaultTime2Retain=20", "0"},
                          {"MaxOutstandingR2T=16", "4"},
                          {"DataPDUInOrder=No", "Yes"},
                          {"DataSequenceInOrder=No", "Yes"},
                          {"ErrorRecoveryLevel=2", "0"},
                          {"iSCSIProtocolLevel=1", "1"},
                          {"iSCSIProtocolLevel=9", "2"},
                          {"TaskReporting=FastAbort,RFC3720", "RFC3720"},
                          {"IFMarker=Yes", "No"},
                          {"OFMarkInt=1~2", "Irrelevant"},
                          {"X-com.example.key=1", "NotUnderstood"},
                          {"InitiatorAlias=host", "-"},
                          {"SendTargets=All", "Reject"}}) {
        TestInitiator initiator(setup.entity);
        auto pairs = names(initiator);
        pairs.emplace_back(c.offer);
        const auto response = initiator.login_step(0x87, pairs);
        EXPECT_EQ(response->login_status(), 0) << c.offer;
        EXPECT_EQ(response->key(std::string_view(c.offer).substr(0, std::string_view(c.offer).find('='))), c.answer)
            << c.offer;
    }
}

TEST(IscsiLogin, KeysWithoutMeaningInDiscoveryAreIrrelevant) {
    TestSetup setup;
    TestInitiator initiator(setup.entity);
    const auto response = initiator.login_step(
        0x87, {"SessionType=Discovery", "InitiatorName=" + initiator.name, "InitialR2T=No", "HeaderDigest=None"});
    EXPECT_EQ(response->login_status(), 0);
    EXPECT_EQ(response->key("InitialR2T"), "Irrelevant");
    EXPECT_EQ(response->key("HeaderDigest"), "None");
    EXPECT_EQ(response->key("TargetPortalGroupTag"), "-");
    EXPECT_EQ(setup.unit.nexuses, 0);
}

} // namespace touka::scsi::iscsi
