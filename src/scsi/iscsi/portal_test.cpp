// The port as libiscsi, an initiator of others, sees it over loopback sockets.
#include "scsi/iscsi/portal.hpp"

#include <gtest/gtest.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <poll.h>
#include <sys/socket.h>

#include <functional>
#include <memory>

#include "runtime/unique_fd.hpp"
#include "scsi/iscsi/socket_address.hpp"
#include "scsi/iscsi/test_initiator.hpp"

namespace touka::scsi::iscsi {

namespace {

/// A target behind two portals of a reactor's.
struct Service {
    explicit Service(const EntityOptions& options = {}, const char* second = "127.0.0.1:0") {
        reactor.run_and_wait([&] {
            entity = std::make_unique<NetworkEntity>(reactor, policy, options);
            policy.mapped = {{Lun::from_number(0), &unit}};
            portals.push_back(*Portal::open(reactor, *entity, 0, "127.0.0.1:0"));
            portals.push_back(*Portal::open(reactor, *entity, 1, second));
            entity->set_targets({{.name = "iqn.2026-01.test:target",
                                  .target = &target,
                                  .portals = {{.portal = 0, .group_tag = 1, .relative_port = 1},
                                              {.portal = 1, .group_tag = 2, .relative_port = 2}}}});
        });
    }
    ~Service() {
        reactor.run_and_wait([&] {
            portals.clear();
            unit.release();
            entity.reset();
        });
    }
    std::vector<SessionInfo> sessions() {
        std::vector<SessionInfo> list;
        reactor.run_and_wait([&] { list = entity->sessions(); });
        return list;
    }
    /// Waits until there are that many sessions; connections end when their last bytes have been read.
    bool sessions_become(std::size_t count) {
        for (int i = 0; i < 200; ++i) {
            if (sessions().size() == count) return true;
            ::usleep(10'000);
        }
        return false;
    }
    RamUnit unit{8192};
    Target target;
    TestPolicy policy;
    runtime::Reactor reactor{"iscsi-test"};
    std::unique_ptr<NetworkEntity> entity;
    std::vector<std::unique_ptr<Portal>> portals;
};

using ContextPointer = std::unique_ptr<iscsi_context, decltype(&::iscsi_destroy_context)>;
using TaskPointer = std::unique_ptr<scsi_task, decltype(&::scsi_free_scsi_task)>;

ContextPointer context(iscsi_session_type type = ISCSI_SESSION_NORMAL) {
    ContextPointer pointer(::iscsi_create_context("iqn.2026-01.test:libiscsi"), ::iscsi_destroy_context);
    ::iscsi_set_noautoreconnect(pointer.get(), 1);
    ::iscsi_set_timeout(pointer.get(), 10);
    ::iscsi_set_session_type(pointer.get(), type);
    if (type == ISCSI_SESSION_NORMAL) ::iscsi_set_targetname(pointer.get(), "iqn.2026-01.test:target");
    return pointer;
}

bool login(iscsi_context* iscsi, const Portal& portal) {
    return ::iscsi_connect_sync(iscsi, portal.address().c_str()) == 0 && ::iscsi_login_sync(iscsi) == 0;
}

TaskPointer write10(iscsi_context* iscsi, std::uint32_t lba, std::vector<std::uint8_t>& data) {
    return {
        ::iscsi_write10_sync(iscsi, 0, lba, data.data(), static_cast<std::uint32_t>(data.size()), 512, 0, 0, 0, 0, 0),
        ::scsi_free_scsi_task};
}

TaskPointer read10(iscsi_context* iscsi, std::uint32_t lba, std::size_t bytes) {
    return {::iscsi_read10_sync(iscsi, 0, lba, static_cast<std::uint32_t>(bytes), 512, 0, 0, 0, 0, 0),
            ::scsi_free_scsi_task};
}

bool good(const TaskPointer& task) { return task && task->status == SCSI_STATUS_GOOD; }

std::span<const std::uint8_t> data_of(const TaskPointer& task) {
    return {task->datain.data, static_cast<std::size_t>(task->datain.size)};
}

/// Of an asynchronous call. @param counter a std::uint32_t.
void count_good(iscsi_context*, int status, void*, void* counter) {
    if (status == SCSI_STATUS_GOOD) ++*static_cast<std::uint32_t*>(counter);
}

/// Sends and receives for asynchronous calls until `done()` or ten seconds have passed.
void serve(iscsi_context* iscsi, const std::function<bool()>& done) {
    for (int i = 0; i < 1000 && !done(); ++i) {
        pollfd events{::iscsi_get_fd(iscsi), static_cast<short>(::iscsi_which_events(iscsi)), 0};
        ::poll(&events, 1, 10);
        ASSERT_EQ(::iscsi_service(iscsi, events.revents), 0) << ::iscsi_get_error(iscsi);
    }
}

} // namespace

TEST(IscsiPortal, LibiscsiReadsWhatItHasWritten) {
    for (const bool initial_r2t : {false, true}) {
        for (const bool immediate : {false, true}) {
            for (const std::uint32_t first_burst : {2048u, 65'536u}) {
                for (const std::uint32_t max_burst : {4096u, 262'144u}) {
                    Service service({.limits = {.initial_r2t = initial_r2t,
                                                .immediate_data = immediate,
                                                .max_recv_data_segment_length = 8192,
                                                .max_burst_length = max_burst,
                                                .first_burst_length = first_burst}});
                    const auto iscsi = context();
                    ::iscsi_set_initial_r2t(iscsi.get(), initial_r2t ? ISCSI_INITIAL_R2T_YES : ISCSI_INITIAL_R2T_NO);
                    ::iscsi_set_immediate_data(iscsi.get(),
                                               immediate ? ISCSI_IMMEDIATE_DATA_YES : ISCSI_IMMEDIATE_DATA_NO);
                    ASSERT_TRUE(login(iscsi.get(), *service.portals[0])) << ::iscsi_get_error(iscsi.get());
                    for (const std::size_t blocks : {1u, 3u, 8u, 16u, 129u, 2000u}) {
                        auto data = pattern(blocks * 512, static_cast<unsigned>(blocks));
                        ASSERT_TRUE(good(write10(iscsi.get(), 7, data))) << ::iscsi_get_error(iscsi.get());
                        EXPECT_TRUE(
                            std::ranges::equal(data, std::span(service.unit.memory).subspan(7 * 512, data.size())));
                        const auto read = read10(iscsi.get(), 7, data.size());
                        ASSERT_TRUE(good(read)) << ::iscsi_get_error(iscsi.get());
                        EXPECT_TRUE(std::ranges::equal(data, data_of(read)));
                    }
                    ::iscsi_logout_sync(iscsi.get());
                    EXPECT_TRUE(service.sessions_become(0));
                }
            }
        }
    }
}

TEST(IscsiPortal, LibiscsiWithHeaderDigests) {
    Service service;
    const auto iscsi = context();
    ::iscsi_set_header_digest(iscsi.get(), ISCSI_HEADER_DIGEST_CRC32C);
    ASSERT_TRUE(login(iscsi.get(), *service.portals[0])) << ::iscsi_get_error(iscsi.get());
    EXPECT_TRUE(service.sessions()[0].parameters.header_digest);
    auto data = pattern(100 * 512, 4);
    ASSERT_TRUE(good(write10(iscsi.get(), 0, data)));
    const auto read = read10(iscsi.get(), 0, data.size());
    ASSERT_TRUE(good(read));
    EXPECT_TRUE(std::ranges::equal(data, data_of(read)));
    EXPECT_EQ(service.sessions()[0].counters.data_out_bytes, data.size());
}

TEST(IscsiPortal, LibiscsiDiscoversTargets) {
    Service service;
    const auto iscsi = context(ISCSI_SESSION_DISCOVERY);
    ASSERT_TRUE(login(iscsi.get(), *service.portals[0])) << ::iscsi_get_error(iscsi.get());
    iscsi_discovery_address* const found = ::iscsi_discovery_sync(iscsi.get());
    ASSERT_NE(found, nullptr);
    EXPECT_STREQ(found->target_name, "iqn.2026-01.test:target");
    std::vector<std::string> addresses;
    for (auto* portal = found->portals; portal != nullptr; portal = portal->next)
        addresses.emplace_back(portal->portal);
    std::ranges::sort(addresses);
    std::vector<std::string> expected{service.portals[0]->address() + ",1", service.portals[1]->address() + ",2"};
    std::ranges::sort(expected);
    EXPECT_EQ(addresses, expected);
    ::iscsi_free_discovery_data(iscsi.get(), found);
}

TEST(IscsiPortal, LibiscsiProvesItselfByChap) {
    Service service;
    service.policy.required.initiator = ChapSecret{"user", "initiator's secret"};
    for (const bool right : {true, false}) {
        const auto iscsi = context();
        ::iscsi_set_initiator_username_pwd(iscsi.get(), "user", right ? "initiator's secret" : "a guess");
        EXPECT_EQ(login(iscsi.get(), *service.portals[0]), right) << ::iscsi_get_error(iscsi.get());
    }
    const auto nobody = context();
    EXPECT_FALSE(login(nobody.get(), *service.portals[0]));
}

TEST(IscsiPortal, LibiscsiAndTargetProveThemselvesByChap) {
    Service service;
    service.policy.required = {.initiator = ChapSecret{"user", "initiator's secret"},
                               .target = ChapSecret{"disk", "target's secret"}};
    for (const bool right : {true, false}) {
        const auto iscsi = context();
        ::iscsi_set_initiator_username_pwd(iscsi.get(), "user", "initiator's secret");
        ::iscsi_set_target_username_pwd(iscsi.get(), "disk", right ? "target's secret" : "something else");
        EXPECT_EQ(login(iscsi.get(), *service.portals[0]), right) << ::iscsi_get_error(iscsi.get());
    }
}

TEST(IscsiPortal, TwoPortalsAreTwoPaths) {
    Service service({}, "[::1]:0");
    const auto a = context(), b = context();
    ::iscsi_set_isid_random(a.get(), 1, 0);
    ::iscsi_set_isid_random(b.get(), 1, 0);
    ASSERT_TRUE(login(a.get(), *service.portals[0]));
    ASSERT_TRUE(login(b.get(), *service.portals[1])) << ::iscsi_get_error(b.get());
    EXPECT_EQ(service.sessions().size(), 2u);
    auto data = pattern(4096, 4);
    ASSERT_TRUE(good(write10(a.get(), 0, data)));
    const auto read = read10(b.get(), 0, data.size());
    ASSERT_TRUE(good(read));
    EXPECT_TRUE(std::ranges::equal(data, data_of(read)));
}

TEST(IscsiPortal, SameInitiatorPortAgainReplacesItsSession) {
    Service service;
    const auto a = context(), b = context();
    ::iscsi_set_isid_random(a.get(), 1, 0);
    ::iscsi_set_isid_random(b.get(), 1, 0);
    ASSERT_TRUE(login(a.get(), *service.portals[0]));
    ASSERT_TRUE(login(b.get(), *service.portals[0]));
    EXPECT_TRUE(service.sessions_become(1));
    EXPECT_TRUE(good(read10(b.get(), 0, 512)));
    EXPECT_FALSE(good(read10(a.get(), 0, 512)));
}

TEST(IscsiPortal, CommandsThatCompleteLaterAreAnsweredThen) {
    Service service;
    service.unit.hold = true;
    service.unit.memory = pattern(service.unit.memory.size(), 8);
    const auto iscsi = context();
    ASSERT_TRUE(login(iscsi.get(), *service.portals[0]));
    constexpr std::uint32_t kCommands = 64;
    std::uint32_t good_commands = 0;
    std::vector<TaskPointer> tasks;
    for (std::uint32_t i = 0; i < kCommands; ++i) {
        tasks.emplace_back(
            ::iscsi_read10_task(iscsi.get(), 0, i * 8, 4096, 512, 0, 0, 0, 0, 0, count_good, &good_commands),
            ::scsi_free_scsi_task);
    }
    const auto release = [&] {
        if (service.unit.held() == kCommands) service.unit.release();
    };
    serve(iscsi.get(), [&] {
        service.reactor.run_and_wait(release);
        return good_commands == kCommands;
    });
    EXPECT_EQ(good_commands, kCommands);
    for (std::uint32_t i = 0; i < kCommands; ++i) {
        EXPECT_TRUE(std::ranges::equal(data_of(tasks[i]), std::span(service.unit.memory).subspan(i * 4096, 4096)));
    }
}

TEST(IscsiPortal, TakesAllThatCameWhileItWasBusy) {
    // Without a word of the target's in between: the initiator sends, and then nothing more comes.
    Service service({.limits = {.initial_r2t = false, .first_burst_length = 262'144}});
    const auto iscsi = context();
    ::iscsi_set_initial_r2t(iscsi.get(), ISCSI_INITIAL_R2T_NO);
    ASSERT_TRUE(login(iscsi.get(), *service.portals[0])) << ::iscsi_get_error(iscsi.get());
    constexpr std::uint32_t kWrites = 32, kBlocks = 256;
    std::vector<std::vector<std::uint8_t>> data;
    for (std::uint32_t i = 0; i < kWrites; ++i) data.push_back(pattern(std::size_t{kBlocks} * 512, i));
    for (int round = 0; round < 8; ++round) { // the kernel lets more wait for a socket the more it has been used
        std::uint32_t good_writes = 0;
        std::vector<TaskPointer> tasks;
        service.reactor.post([] { ::usleep(30'000); });
        for (std::uint32_t i = 0; i < kWrites; ++i)
            tasks.emplace_back(::iscsi_write10_task(iscsi.get(), 0, i * kBlocks, data[i].data(), kBlocks * 512, 512, 0,
                                                    0, 0, 0, 0, count_good, &good_writes),
                               ::scsi_free_scsi_task);
        serve(iscsi.get(), [&] { return good_writes == kWrites; });
        ASSERT_EQ(good_writes, kWrites) << "in round " << round;
    }
    for (std::uint32_t i = 0; i < kWrites; ++i)
        EXPECT_TRUE(
            std::ranges::equal(data[i], std::span(service.unit.memory).subspan(i * data[i].size(), data[i].size())));
}

TEST(IscsiPortal, SessionThatVanishesInTheMiddleOfAWriteLeavesNothingBehind) {
    Service service;
    auto address = parse_socket_address(service.portals[0]->address());
    ASSERT_TRUE(address);
    runtime::UniqueFd fd(::socket(AF_INET, SOCK_STREAM, 0));
    ASSERT_EQ(::connect(fd.get(), address->generic(), address->length), 0);
    TestSetup other; // an initiator that makes the bytes
    TestInitiator maker(other.entity);
    const std::string text = "InitiatorName=" + maker.name + '\0' + "TargetName=" + maker.target_name + '\0';
    auto bytes =
        maker.encode(maker.login_request(0x87), {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    auto write = maker.encode(maker.write(0, 128), pattern(8192, 1));
    bytes.insert(bytes.end(), write.begin(), write.end() - 4000);
    ASSERT_EQ(::send(fd.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    ASSERT_TRUE(service.sessions_become(1));
    fd.reset();
    EXPECT_TRUE(service.sessions_become(0));
    service.reactor.run_and_wait([&] { EXPECT_EQ(service.entity->buffers().used_bytes(), 0u); });
}

TEST(IscsiPortal, ClosingAPortalEndsItsSessionsOnly) {
    Service service;
    const auto a = context(), b = context();
    ASSERT_TRUE(login(a.get(), *service.portals[0]));
    ASSERT_TRUE(login(b.get(), *service.portals[1]));
    service.reactor.run_and_wait([&] { service.portals[0].reset(); });
    EXPECT_EQ(service.sessions().size(), 1u);
    EXPECT_TRUE(good(read10(b.get(), 0, 512)));
}

TEST(IscsiPortal, WrongAddressesAndPortsInUseAreTold) {
    Service service;
    service.reactor.run_and_wait([&] {
        for (const char* address : {"", "localhost:1", "127.0.0.1", "127.0.0.1:65536", "[::1:3260"}) {
            const auto portal = Portal::open(service.reactor, *service.entity, 9, address);
            ASSERT_FALSE(portal) << address;
            EXPECT_EQ(portal.error(), PortalError::kBadAddress);
        }
        const auto again = Portal::open(service.reactor, *service.entity, 9, service.portals[0]->address());
        ASSERT_FALSE(again);
        EXPECT_EQ(again.error(), PortalError::kInUse);
    });
}

} // namespace touka::scsi::iscsi
