#include "scsi/passthrough/iscsi_unit.hpp"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "scsi/passthrough/test_task.hpp"
#include "scsi/passthrough/tgt_server.hpp"

namespace touka::scsi {
namespace {

using test::TestTask;
using test::TgtServer;
using Bytes = std::vector<std::uint8_t>;

constexpr const char* kWwpn = "2100000E1E123456";

Bytes read10(std::uint32_t lba, std::uint16_t blocks, std::uint8_t code = 0x28) {
    return {code,
            0,
            static_cast<std::uint8_t>(lba >> 24),
            static_cast<std::uint8_t>(lba >> 16),
            static_cast<std::uint8_t>(lba >> 8),
            static_cast<std::uint8_t>(lba),
            0,
            static_cast<std::uint8_t>(blocks >> 8),
            static_cast<std::uint8_t>(blocks),
            0};
}
Bytes write10(std::uint32_t lba, std::uint16_t blocks) { return read10(lba, blocks, 0x2A); }
const Bytes kTestUnitReady(6);
const Bytes kInquiry{0x12, 0, 0, 0, 255, 0};

TEST(IscsiUnitCreation, SaysWhatIsWrongWithAUrlOrAName) {
    runtime::Reactor reactor("iscsi");
    const auto error_of = [&](const std::string& url, const std::string& wwpn) {
        return IscsiUnit::create(reactor, {.url = url, .initiator_wwpn = wwpn}).error();
    };
    EXPECT_NE(error_of("iscsi://127.0.0.1/iqn.x:y/1", "21").find("16 hexadecimal"), std::string::npos);
    EXPECT_NE(error_of("iscsi://127.0.0.1/iqn.x:y/1", "2100000e1e12345g").find("16 hexadecimal"), std::string::npos);
    EXPECT_NE(error_of("http://127.0.0.1/", kWwpn).find("Invalid URL"), std::string::npos);
    EXPECT_NE(error_of("iscsi://127.0.0.1/iqn.x:y/16384", kWwpn).find("16383"), std::string::npos);
    EXPECT_TRUE(
        IscsiUnit::create(reactor, {.url = "iscsi://127.0.0.1/iqn.x:y/1", .initiator_wwpn = kWwpn}).has_value());
}

/// The first login request that comes to a listening socket. (RFC 7143 §11.12)
Bytes take_login(int listener) {
    const runtime::UniqueFd peer(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    Bytes pdu(48);
    if (::recv(peer.get(), pdu.data(), pdu.size(), MSG_WAITALL) != 48) return {};
    pdu.resize(48 + (pdu[5] << 16 | pdu[6] << 8 | pdu[7]));
    (void)!::recv(peer.get(), pdu.data() + 48, pdu.size() - 48, MSG_WAITALL);
    return pdu;
}

TEST(IscsiUnitLogin, IsThatOfTheSameNexusEveryTimeAndOfAnotherForAnotherUnit) {
    const runtime::UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    ASSERT_EQ(::listen(listener.get(), 4), 0);
    ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
    const std::string url = "iscsi://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/iqn.x:y/";

    runtime::Reactor reactor("iscsi");
    Nexus nexus;
    std::vector<Bytes> logins;
    for (const char* const lun : {"1", "2"}) {
        auto unit = *IscsiUnit::create(reactor, {.url = url + lun, .initiator_wwpn = kWwpn});
        reactor.run_and_wait([&] { unit->attach(nexus); });
        for (int i = 0; i < 2; ++i) logins.push_back(take_login(listener.get()));
        reactor.run_and_wait([&] {
            unit->detach(nexus, [] {});
            unit.reset();
        });
    }
    const auto isid = [&](std::size_t i) { return Bytes(logins[i].begin() + 8, logins[i].begin() + 14); };
    for (const Bytes& login : logins) {
        ASSERT_GT(login.size(), 48u);
        const std::string text(login.begin() + 48, login.end());
        EXPECT_NE(text.find(std::string("InitiatorName=naa.2100000e1e123456") + '\0'), std::string::npos);
        EXPECT_EQ(login[8] & 0xC0, 0x80);    // random format
        EXPECT_EQ(login[14] | login[15], 0); // TSIH: a new session
    }
    EXPECT_EQ(isid(0), isid(1));
    EXPECT_EQ(isid(2), isid(3));
    EXPECT_NE(isid(0), isid(2));
}

class AnIscsiUnit : public testing::Test {
protected:
    void SetUp() override {
        if (!TgtServer::installed()) GTEST_SKIP() << "needs /usr/sbin/tgtd (package tgt) and root";
        ASSERT_TRUE(server_.start());
    }
    void bring_up(IscsiUnitConfiguration configuration = {}) {
        if (configuration.url.empty()) configuration.url = server_.url();
        configuration.initiator_wwpn = kWwpn;
        auto unit = IscsiUnit::create(reactor_, std::move(configuration));
        ASSERT_TRUE(unit.has_value()) << unit.error();
        unit_ = std::move(*unit);
        reactor_.run_and_wait([this] { unit_->attach(nexus_); });
    }
    void TearDown() override {
        reactor_.run_and_wait([this] {
            if (unit_) unit_->detach(nexus_, [] {});
            unit_.reset();
        });
    }
    void start(TestTask& task) {
        reactor_.run_and_wait([&] {
            unit_->submit(task);
            unit_->commit();
        });
    }
    void run(TestTask& task) {
        start(task);
        ASSERT_TRUE(task.wait());
    }
    /// Takes the unit attentions of a new nexus. @return the first one's code.
    SenseCode settle() {
        std::optional<SenseCode> first;
        for (int i = 0; i < 10; ++i) {
            TestTask task(nexus_, kTestUnitReady);
            run(task);
            if (task.status == Status::kGood && task.delivery == Delivery::kComplete) break;
            if (const auto sense = task.sense.decode(); sense && !first) first = sense->code;
        }
        return first.value_or(SenseCode::kNoAdditionalSense);
    }
    TaskManagementResponse manage(TaskManagementFunction function, std::uint64_t tag = 0) {
        std::promise<TaskManagementResponse> answer;
        reactor_.run_and_wait([&] {
            unit_->manage(function, nexus_, tag, [&](TaskManagementResponse response) { answer.set_value(response); });
        });
        return answer.get_future().get();
    }

    TgtServer server_;
    runtime::Reactor reactor_{"iscsi"};
    Nexus nexus_;
    std::unique_ptr<IscsiUnit> unit_;
};

TEST_F(AnIscsiUnit, PassesTheArraysUnitAttentionOnThatANewNexusFinds) {
    bring_up();
    EXPECT_EQ(asc(settle()), 0x29);
}

TEST_F(AnIscsiUnit, WritesAndReadsBackThroughTheTasksOwnBuffers) {
    bring_up();
    settle();
    Bytes data(256 << 10);
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::uint8_t>(i * 7 + i / 512);
    TestTask write(nexus_, write10(8, 512), 0, data);
    run(write);
    EXPECT_EQ(write.status, Status::kGood);
    EXPECT_EQ(write.transfer_bytes, data.size());
    TestTask read(nexus_, read10(8, 512), data.size());
    run(read);
    EXPECT_EQ(read.status, Status::kGood);
    EXPECT_EQ(read.data_in_bytes, data.size());
    EXPECT_EQ(read.in, data);
}

TEST_F(AnIscsiUnit, TellsResidualsInBothDirections) {
    bring_up();
    settle();
    TestTask inquiry(nexus_, kInquiry, 4096);
    run(inquiry);
    EXPECT_EQ(inquiry.status, Status::kGood);
    EXPECT_LT(inquiry.data_in_bytes, 256u);
    EXPECT_GE(inquiry.data_in_bytes, 36u);
    EXPECT_EQ(inquiry.transfer_bytes, inquiry.data_in_bytes);
    TestTask read(nexus_, read10(0, 2), 512); // a buffer for one block of two
    run(read);
    EXPECT_EQ(read.data_in_bytes, 512u);
    EXPECT_EQ(read.transfer_bytes, 1024u);
}

TEST_F(AnIscsiUnit, SenseDataAreTheArraysBytes) {
    bring_up();
    settle();
    TestTask task(nexus_, read10(0x7FFF'FFFF, 1), 512);
    run(task);
    EXPECT_EQ(task.status, Status::kCheckCondition);
    const auto bytes = task.sense.bytes();
    ASSERT_GE(bytes.size(), 14u);
    EXPECT_EQ(bytes[0] & 0x7F, 0x70);
    EXPECT_EQ(task.sense.decode()->key, SenseKey::kIllegalRequest);
    EXPECT_EQ(task.sense.decode()->code, SenseCode::kLogicalBlockAddressOutOfRange);
}

TEST_F(AnIscsiUnit, DeniesWhatItsPolicyDoesNotAllowAndLongCdbs) {
    bring_up({.policy = CommandPolicy::only({{0x00, {}}, {0x7F, {}}})});
    settle();
    TestTask denied(nexus_, kInquiry, 36);
    run(denied);
    EXPECT_EQ(denied.sense.decode()->code, SenseCode::kInvalidCommandOperationCode);
    EXPECT_EQ(unit_->policy().denied_count(), 1u);
    TestTask longer(nexus_, {0x7F, 0, 0, 0, 0, 0, 0, 24, 0, 9}, 512);
    run(longer);
    EXPECT_EQ(longer.sense.decode()->code, SenseCode::kInvalidCommandOperationCode);
    EXPECT_EQ(unit_->policy().denied_count(), 1u);
}

TEST_F(AnIscsiUnit, ANexusResetIsANewSession) {
    bring_up();
    settle();
    EXPECT_EQ(unit_->session().login_count(), 1u);
    EXPECT_EQ(manage(TaskManagementFunction::kItNexusReset), TaskManagementResponse::kComplete);
    TestTask task(nexus_, kTestUnitReady);
    run(task);
    EXPECT_EQ(task.delivery, Delivery::kComplete);
    EXPECT_EQ(unit_->session().login_count(), 2u);
}

TEST_F(AnIscsiUnit, ResetsTheUnitAndTellsWhichTasksItHas) {
    bring_up();
    settle();
    EXPECT_EQ(manage(TaskManagementFunction::kQueryTaskSet), TaskManagementResponse::kComplete);
    EXPECT_EQ(manage(TaskManagementFunction::kAbortTask, 77), TaskManagementResponse::kTaskDoesNotExist);
    EXPECT_EQ(manage(TaskManagementFunction::kLogicalUnitReset), TaskManagementResponse::kComplete);
    server_.freeze();
    TestTask task(nexus_, read10(0, 1), 512);
    task.tag = 5;
    start(task);
    EXPECT_EQ(manage(TaskManagementFunction::kQueryTask, 5), TaskManagementResponse::kSucceeded);
    EXPECT_EQ(manage(TaskManagementFunction::kQueryTask, 6), TaskManagementResponse::kComplete);
    server_.thaw();
    EXPECT_TRUE(task.wait());
}

TEST_F(AnIscsiUnit, AnAbortThatTheArrayDoesNotAnswerCostsTheSessionAndEndsTheTask) {
    bring_up({.function_limit_ms = 300});
    settle();
    server_.freeze();
    TestTask task(nexus_, read10(0, 1), 512), other(nexus_, read10(0, 1), 512);
    task.tag = 5;
    start(task);
    start(other);
    EXPECT_EQ(manage(TaskManagementFunction::kAbortTask, 5), TaskManagementResponse::kComplete);
    EXPECT_EQ(task.completions, 1);
    EXPECT_EQ(other.completions, 1);
    EXPECT_EQ(other.delivery, Delivery::kTransportFailure);
    server_.thaw();
}

TEST_F(AnIscsiUnit, WhatIsInFlightWhenTheArrayDiesIsATransportFailureAndTheNextCommandFindsItAgain) {
    bring_up({.patience_ms = 20'000});
    settle();
    server_.freeze();
    TestTask read(nexus_, read10(0, 1), 512), write(nexus_, write10(0, 1), 0, Bytes(512, 1));
    start(read);
    start(write);
    server_.stop();
    ASSERT_TRUE(read.wait());
    ASSERT_TRUE(write.wait());
    EXPECT_EQ(read.delivery, Delivery::kTransportFailure);
    EXPECT_EQ(write.delivery, Delivery::kTransportFailure);
    EXPECT_EQ(read.data_in_bytes, 0u);
    TestTask waits(nexus_, kTestUnitReady);
    start(waits);
    EXPECT_FALSE(waits.wait(std::chrono::milliseconds(200)));
    ASSERT_TRUE(server_.start());
    ASSERT_TRUE(waits.wait());
    EXPECT_EQ(waits.delivery, Delivery::kComplete);
}

TEST_F(AnIscsiUnit, CommandsWaitForASessionOnlySoLong) {
    bring_up({.patience_ms = 200});
    settle();
    server_.stop();
    TestTask waits(nexus_, kTestUnitReady);
    run(waits);
    EXPECT_EQ(waits.delivery, Delivery::kTransportFailure);
    TestTask late(nexus_, kTestUnitReady);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    start(late);
    EXPECT_TRUE(late.wait(std::chrono::milliseconds(0)));
    EXPECT_EQ(late.delivery, Delivery::kTransportFailure);
}

TEST_F(AnIscsiUnit, ATaskThatWaitsForTheSessionIsAbortedHere) {
    server_.stop();
    bring_up({.patience_ms = 60'000});
    TestTask task(nexus_, kTestUnitReady);
    task.tag = 3;
    start(task);
    EXPECT_EQ(manage(TaskManagementFunction::kAbortTask, 3), TaskManagementResponse::kComplete);
    EXPECT_TRUE(task.aborted);
}

TEST_F(AnIscsiUnit, LogsInWithChapAndNotWithoutIt) {
    ASSERT_TRUE(server_.admin("--mode account --op new --user alice --password correcthorse1"));
    ASSERT_TRUE(server_.admin("--mode account --op bind --tid 1 --user alice"));
    bring_up({.user = "alice", .password = "correcthorse1", .header_digest = IscsiHeaderDigest::kPreferCrc32c});
    EXPECT_EQ(asc(settle()), 0x29);
    TearDown();
    bring_up({.url = server_.url("alice%wrong@"), .patience_ms = 500});
    TestTask task(nexus_, kTestUnitReady);
    run(task);
    EXPECT_EQ(task.delivery, Delivery::kTransportFailure);
}

} // namespace
} // namespace touka::scsi
