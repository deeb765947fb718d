// The corpus of disks against a unit of our own, over a loopback socket; and against one that is wrong on purpose.
#include "scsi/verify/iscsi/iscsi_sender.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <iterator>

#include "scsi/disk/disk_unit.hpp"
#include "scsi/iscsi/network_entity.hpp"
#include "scsi/iscsi/portal.hpp"
#include "scsi/reservation/reservation_commands.hpp"
#include "scsi/verify/comparison.hpp"
#include "storage/memory_volume.hpp"

namespace touka::scsi::verify {
namespace {

using testing::Contains;
using testing::Field;
using testing::IsEmpty;

class OpenPolicy final : public iscsi::AccessPolicy {
public:
    std::optional<iscsi::Authentication> authentication(std::string_view, std::string_view) override {
        return iscsi::Authentication{};
    }
    std::vector<MappedUnit> units(std::string_view, std::string_view) override { return mapped; }
    std::vector<MappedUnit> mapped;
};

/// Hands everything on and falsifies responses.
class WrongUnit final : public LogicalUnit {
public:
    explicit WrongUnit(LogicalUnit& right) : right_(right) {}
    void submit(Task& task) override { right_.submit(*new WrongTask(*this, task)); }
    void commit() override { right_.commit(); }
    void manage(TaskManagementFunction function, Nexus& nexus, std::uint64_t tag,
                std::function<void(TaskManagementResponse)> done) override {
        right_.manage(function, nexus, tag, std::move(done));
    }
    void attach(Nexus& nexus) override { right_.attach(nexus); }
    void detach(Nexus& nexus, std::function<void()> done) override { right_.detach(nexus, std::move(done)); }
    void inventory_changed(Nexus& nexus) override { right_.inventory_changed(nexus); }
    void inventory_reported(Nexus& nexus) override { right_.inventory_reported(nexus); }

    std::function<void(Task&)> falsify = [](Task&) {}; ///< called with the complete response

private:
    class WrongTask final : public Task {
    public:
        WrongTask(WrongUnit& unit, Task& original) : unit_(unit), original_(original) {
            nexus = original.nexus, lun = original.lun, tag = original.tag, attribute = original.attribute;
            cdb = original.cdb, data_out = original.data_out, data_out_bytes = original.data_out_bytes;
            data_in_limit_bytes = original.data_in_limit_bytes;
        }
        std::span<const iovec> data_in(std::uint64_t bytes) override { return original_.data_in(bytes); }
        void complete() override {
            original_.status = status, original_.sense = sense, original_.data_in_bytes = data_in_bytes;
            original_.transfer_bytes = transfer_bytes, original_.aborted = aborted, original_.delivery = delivery;
            unit_.falsify(original_);
            original_.complete();
            delete this;
        }

    private:
        WrongUnit& unit_;
        Task& original_;
    };

    LogicalUnit& right_;
};

/// NOT READY, LOGICAL UNIT IS IN PROCESS OF BECOMING READY, in fixed format.
SenseData wrong_sense() {
    std::array<std::uint8_t, 18> bytes{};
    bytes[0] = 0x70, bytes[2] = 2, bytes[7] = 10, bytes[12] = 4, bytes[13] = 1;
    return SenseData(bytes);
}

/// A disk behind a portal.
class Service {
public:
    Service() {
        reactor.run_and_wait([&] {
            volume = std::make_unique<storage::MemoryVolume>(8u << 20);
            DiskOptions options;
            options.identity.serial = "verify";
            options.ports = {{.relative = 1, .name = "iqn.2026-01.test:target,t,0x0001"}};
            disk = std::make_unique<DiskUnit>(*volume, std::move(options));
            reservations = std::make_unique<ReservationCommands>(disk->server(), ReservationConfiguration{});
            wrong = std::make_unique<WrongUnit>(disk->unit());
            policy.mapped = {{Lun::from_number(0), &disk->unit()}, {Lun::from_number(1), wrong.get()}};
            entity = std::make_unique<iscsi::NetworkEntity>(reactor, policy);
            portal = *iscsi::Portal::open(reactor, *entity, 0, "127.0.0.1:0");
            entity->set_targets({{.name = "iqn.2026-01.test:target",
                                  .target = &target,
                                  .portals = {{.portal = 0, .group_tag = 1, .relative_port = 1}}}});
        });
    }
    ~Service() {
        reactor.run_and_wait([&] {
            portal.reset();
            entity.reset();
        });
    }
    [[nodiscard]] std::string url(int lun) const {
        return "iscsi://" + portal->address() + "/iqn.2026-01.test:target/" + std::to_string(lun);
    }
    /// The recording of a session of its own.
    [[nodiscard]] Recording run(const Corpus& corpus, int lun) const {
        const auto sender = IscsiSender::open(url(lun), "iqn.2026-01.test:verify");
        EXPECT_TRUE(sender) << sender.error();
        return sender ? run_corpus(corpus, **sender) : Recording{};
    }

    std::unique_ptr<storage::MemoryVolume> volume;
    std::unique_ptr<DiskUnit> disk;
    std::unique_ptr<ReservationCommands> reservations;
    std::unique_ptr<WrongUnit> wrong;
    Target target;
    OpenPolicy policy;
    runtime::Reactor reactor{"verify-test"};
    std::unique_ptr<iscsi::NetworkEntity> entity;
    std::unique_ptr<iscsi::Portal> portal;
};

const Corpus& disk_corpus() {
    static const Corpus corpus = [] {
        const std::string here = __FILE__;
        std::ifstream file(here.substr(0, here.rfind('/')) + "/../corpus/disk.txt");
        return *parse_corpus(std::string{std::istreambuf_iterator<char>(file), {}}, "disk.txt");
    }();
    return corpus;
}

/// The fields in which two responses to the command of that name differ.
std::vector<std::string> fields(const Report& report, std::string_view name) {
    std::vector<std::string> found;
    for (const auto& command : report.different) {
        if (command.name != name) continue;
        for (const auto& difference : command.differences) found.push_back(difference.field);
    }
    return found;
}

TEST(TransparencyOverIscsi, FindsNoDifferenceBetweenTwoSessions) {
    const Service service;
    const Recording outside = service.run(disk_corpus(), 0), inside = service.run(disk_corpus(), 0);
    const Report report = compare(disk_corpus(), outside, inside);
    EXPECT_TRUE(report.same()) << to_text(report);
    ASSERT_EQ(outside.responses.size(), disk_corpus().commands.size());
    for (std::size_t i = 0; i < outside.responses.size(); ++i) {
        EXPECT_EQ(outside.responses[i].delivery, Delivery::kComplete) << disk_corpus().commands[i].name;
    }
    EXPECT_FALSE(outside.attentions.empty()); // POWER ON: the nexus is new
}

TEST(TransparencyOverIscsi, SeesResidualsBothWaysAndSenseData) {
    const Service service;
    const auto corpus = parse_corpus("name short\ncdb 28 00 00 00 00 00 00 00 01 00\nin 1024\n"
                                     "name long\ncdb 28 00 00 00 00 00 00 00 02 00\nin 512\n"
                                     "name wrong\ncdb FD 00 00 00 00 00\n",
                                     "c");
    ASSERT_TRUE(corpus);
    const Recording recording = service.run(*corpus, 0);
    ASSERT_EQ(recording.responses.size(), 3u);
    EXPECT_EQ(recording.responses[0].residual, 512);
    EXPECT_EQ(recording.responses[0].data.length_bytes, 512u);
    EXPECT_EQ(recording.responses[1].residual, -512);
    EXPECT_EQ(recording.responses[1].data.length_bytes, 512u);
    EXPECT_EQ(recording.responses[2].status, 0x02);
    ASSERT_GE(recording.responses[2].sense.size(), 14u);
    EXPECT_EQ(recording.responses[2].sense[12], 0x20); // INVALID COMMAND OPERATION CODE
}

TEST(TransparencyOverIscsi, CatchesAUnitThatIsWrongFieldByField) {
    const Service service;
    service.wrong->falsify = [](Task& task) {
        if (task.cdb.operation_code() == 0xA8 && task.data_in_bytes == 512) { // READ(12): a bit flips
            static_cast<std::uint8_t*>(task.data_in(512).front().iov_base)[100] ^= 1;
        }
        if (task.cdb.operation_code() == 0x25) task.transfer_bytes = task.data_in_limit_bytes; // READ CAPACITY(10)
        if (task.cdb.operation_code() == 0x89 && task.status == Status::kCheckCondition) {     // COMPARE AND WRITE
            task.status = Status::kGood;
            task.sense.clear();
        }
        if (task.cdb.operation_code() == 0x88 && task.status == Status::kCheckCondition) { // READ(16)
            task.sense = wrong_sense();
        }
    };
    const Recording outside = service.run(disk_corpus(), 0), inside = service.run(disk_corpus(), 1);
    const Report report = compare(disk_corpus(), outside, inside);
    using Fields = std::vector<std::string>;
    EXPECT_EQ(fields(report, "READ(12) of one block"), Fields{"data"}) << to_text(report);
    EXPECT_EQ(fields(report, "READ CAPACITY(10) into a long buffer"), (Fields{"residual", "data length"}));
    EXPECT_EQ(fields(report, "COMPARE AND WRITE miscompares"),
              (Fields{"status", "sense key", "additional sense code"}));
    EXPECT_EQ(fields(report, "READ(16) whose range wraps around"), (Fields{"sense key", "additional sense code"}));
    EXPECT_THAT(fields(report, "READ(10) of 1 block"), IsEmpty());
    EXPECT_THAT(to_text(report), testing::HasSubstr(" at byte 100"));
}

TEST(TransparencyOverIscsi, TellsWhyThereIsNoSession) {
    const Service service;
    const auto open = [](const std::string& url) {
        const auto sender = IscsiSender::open(url, "iqn.2026-01.test:verify");
        return sender ? std::string() : sender.error();
    };
    EXPECT_NE(open("iscsi://" + service.portal->address() + "/iqn.2026-01.test:nobody/0"), "");
    EXPECT_NE(open("iscsi://127.0.0.1:1/iqn.2026-01.test:target/0"), "");
    EXPECT_NE(open("nonsense"), "");
}

TEST(TransparencyOverIscsi, GoesOnWithFailuresWhenTheTargetGoes) {
    Service service;
    const auto sender = IscsiSender::open(service.url(0), "iqn.2026-01.test:verify");
    ASSERT_TRUE(sender) << sender.error();
    service.reactor.run_and_wait([&] { service.portal.reset(); });
    const Recording recording = run_corpus({.commands = {{.name = "a", .cdb = std::vector<std::uint8_t>(6)},
                                                         {.name = "b", .cdb = std::vector<std::uint8_t>(6)}}},
                                           **sender);
    ASSERT_EQ(recording.responses.size(), 2u);
    EXPECT_EQ(recording.responses[1].delivery, Delivery::kFailed);
}

} // namespace
} // namespace touka::scsi::verify
