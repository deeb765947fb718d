#include "scsi/tape/tape_unit.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <future>

#include "scsi/tape/memory_tape_file.hpp"
#include "scsi/tape/test_worker.hpp"
#include "scsi/test_task.hpp"
#include "spec/scsi/byte_order.hpp"

namespace touka::scsi {
namespace {

using Bytes = std::vector<std::uint8_t>;
using spec::scsi::load_number;

class TapeDrive : public testing::Test {
protected:
    TapeDrive() {
        auto owned = std::make_unique<TestWorker>();
        worker = owned.get();
        TapeUnit::Configuration configuration;
        configuration.identity = {.product = "TAPE", .revision = "1", .serial = "T1", .naa = derive_naa("T1")};
        unit.emplace(std::move(owned), configuration,
                     [this](const Cartridge& cartridge) -> std::expected<std::unique_ptr<TapeFile>, std::string> {
                         if (cartridge.path == "missing") return std::unexpected("missing: no such file");
                         return std::make_unique<MemoryTapeFile>(contents);
                     });
        nexus.name.initiator.name = "one";
        other.name.initiator.name = "two";
        unit->server().attach(nexus);
        unit->server().attach(other);
        execute({0x03, 0, 0, 0, 252, 0});
        execute({0x03, 0, 0, 0, 252, 0}, {}, &other);
    }
    void insert(Cartridge cartridge = {.path = "a.tap"}) {
        unit->insert(std::move(cartridge), [this](std::expected<void, std::string> loaded) { result = loaded; });
    }
    /// Inserts and takes the unit attention away.
    void ready(Cartridge cartridge = {.path = "a.tap"}) {
        insert(std::move(cartridge));
        execute({0, 0, 0, 0, 0, 0});
        execute({0, 0, 0, 0, 0, 0}, {}, &other);
    }
    TestTask& execute(Bytes cdb, Bytes data = {}, Nexus* from = nullptr, std::uint64_t limit = 65536) {
        tasks.push_back(
            std::make_unique<TestTask>(from != nullptr ? *from : nexus, std::move(cdb), std::move(data), limit));
        unit->server().submit(*tasks.back());
        return *tasks.back();
    }
    void write(std::string_view data) {
        const auto size = static_cast<std::uint8_t>(data.size());
        EXPECT_EQ(execute({0x0A, 0, 0, 0, size, 0}, Bytes(data.begin(), data.end())).status, Status::kGood);
    }
    void filemark() { EXPECT_EQ(execute({0x10, 0, 0, 0, 1, 0}).status, Status::kGood); }
    static std::string text(const TestTask& task) { return {task.received().begin(), task.received().end()}; }
    void expect_sense(const TestTask& task, SenseKey key, SenseCode code) {
        ASSERT_TRUE(task.completed());
        EXPECT_EQ(task.status, Status::kCheckCondition);
        EXPECT_EQ(task.sense_key(), key);
        EXPECT_EQ(task.sense_code(), code);
    }
    std::uint64_t position() {
        const TestTask& task = execute({0x34, 0x06, 0, 0, 0, 0, 0, 0, 0, 0});
        return load_number(task.received().subspan(8, 8));
    }

    std::shared_ptr<MemoryTapeFile::Contents> contents = std::make_shared<MemoryTapeFile::Contents>();
    TestWorker* worker = nullptr;
    std::optional<TapeUnit> unit;
    Nexus nexus, other;
    std::optional<std::expected<void, std::string>> result;
    std::vector<std::unique_ptr<TestTask>> tasks;
};

TEST_F(TapeDrive, IsNotReadyWithoutACartridgeAndTellsOfANewOneOnce) {
    expect_sense(execute({0, 0, 0, 0, 0, 0}), SenseKey::kNotReady, SenseCode::kMediumNotPresent);
    worker->paused = true;
    insert();
    expect_sense(execute({0, 0, 0, 0, 0, 0}), SenseKey::kNotReady, SenseCode::kLogicalUnitBecomingReady);
    worker->drain();
    EXPECT_TRUE(result->has_value());
    expect_sense(execute({0, 0, 0, 0, 0, 0}), SenseKey::kUnitAttention, SenseCode::kNotReadyToReadyChange);
    expect_sense(execute({0, 0, 0, 0, 0, 0}, {}, &other), SenseKey::kUnitAttention, SenseCode::kNotReadyToReadyChange);
    EXPECT_EQ(execute({0, 0, 0, 0, 0, 0}).status, Status::kGood);
}

TEST_F(TapeDrive, AnImageThatCannotBeUsedIsNotReadyAndAnAlert) {
    contents->bytes = {1, 2, 3, 4, 5, 6, 7, 8};
    insert();
    ASSERT_FALSE(result->has_value());
    EXPECT_NE(result->error().find("reserves"), std::string::npos);
    execute({0, 0, 0, 0, 0, 0});
    expect_sense(execute({0, 0, 0, 0, 0, 0}), SenseKey::kNotReady, SenseCode::kMediumFormatCorrupted);
    const Bytes log = {0x4D, 0, 0x6E, 0, 0, 0, 0, 0xFF, 0xFF, 0};
    const auto flag = [](const TestTask& task) { return task.received()[4 + 5 * (0x2B - 1) + 4]; };
    EXPECT_EQ(flag(execute(log)), 1);
    EXPECT_EQ(flag(execute(log)), 0);
    unit->remove([](const auto& removed) { EXPECT_TRUE(removed.has_value()); });
    insert({.path = "missing"});
    EXPECT_EQ(result->error(), "missing: no such file");
}

TEST_F(TapeDrive, ReadsWhatWasWrittenAndReportsLengthsAsTheyWere) {
    ready();
    write("hello");
    filemark();
    EXPECT_EQ(execute({0x01, 0, 0, 0, 0, 0}).status, Status::kGood);
    const TestTask& shorter = execute({0x08, 0, 0, 0, 9, 0});
    expect_sense(shorter, SenseKey::kNoSense, SenseCode::kNoAdditionalSense);
    EXPECT_EQ(text(shorter), "hello");
    EXPECT_EQ(shorter.transfer_bytes, 5u);
    EXPECT_EQ(shorter.sense.bytes()[0], 0xF0);
    EXPECT_EQ(shorter.sense.bytes()[2], 0x20);
    EXPECT_EQ(load_number(shorter.sense.bytes().subspan(3, 4)), 4u);
    const TestTask& mark = execute({0x08, 0, 0, 0, 9, 0});
    expect_sense(mark, SenseKey::kNoSense, SenseCode::kFilemarkDetected);
    EXPECT_EQ(mark.sense.bytes()[2], 0x80);
    EXPECT_EQ(mark.data_in_bytes, 0u);
    execute({0x01, 0, 0, 0, 0, 0});
    const TestTask& longer = execute({0x08, 0, 0, 0, 2, 0});
    EXPECT_EQ(text(longer), "he");
    EXPECT_EQ(load_number(longer.sense.bytes().subspan(3, 4)), 0xFFFF'FFFDu);
}

TEST_F(TapeDrive, DescriptorSenseHasInformationAndStreamBits) {
    ready();
    EXPECT_EQ(
        execute({0x15, 0x10, 0, 0, 16, 0}, {0, 0, 0x10, 0, 0x0A, 10, 0x04, 0x10, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0}).status,
        Status::kGood);
    filemark();
    execute({0x01, 0, 0, 0, 0, 0});
    const auto sense = execute({0x08, 0, 0, 0, 9, 0}).sense.decode();
    ASSERT_TRUE(sense.has_value());
    EXPECT_TRUE(sense->filemark);
    EXPECT_EQ(sense->information, 9u);
}

TEST_F(TapeDrive, AnInitiatorWithASmallBufferGetsWhatFits) {
    ready();
    write("hello");
    execute({0x01, 0, 0, 0, 0, 0});
    const TestTask& task = execute({0x08, 0, 0, 0, 5, 0}, {}, nullptr, 3);
    EXPECT_EQ(task.status, Status::kGood);
    EXPECT_EQ(text(task), "hel");
    EXPECT_EQ(task.transfer_bytes, 5u);
}

TEST_F(TapeDrive, ModeSelectChangesToFixedBlocksAsLinuxDoesIt) {
    ready();
    EXPECT_EQ(execute({0x0A, 1, 0, 0, 2, 0}, Bytes(8)).status, Status::kCheckCondition);
    EXPECT_EQ(execute({0x15, 0, 0, 0, 12, 0}, {0, 0, 0x10, 8, 0x80, 0, 0, 0, 0, 0, 0, 4}).status, Status::kGood);
    const TestTask& sense = execute({0x1A, 0, 0, 0, 12, 0});
    EXPECT_EQ(Bytes(sense.received().begin(), sense.received().end()),
              (Bytes{11, 0, 0x10, 8, 0x80, 0, 0, 0, 0, 0, 0, 4}));
    EXPECT_EQ(execute({0x0A, 1, 0, 0, 2, 0}, Bytes{'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'}).status, Status::kGood);
    EXPECT_EQ(position(), 2u);
    filemark();
    execute({0x01, 0, 0, 0, 0, 0});
    const TestTask& read = execute({0x08, 1, 0, 0, 5, 0});
    EXPECT_EQ(text(read), "abcdefgh");
    EXPECT_EQ(load_number(read.sense.bytes().subspan(3, 4)), 3u);
    EXPECT_EQ(execute({0x08, 3, 0, 0, 5, 0}).sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_EQ(execute({0x15, 0, 0, 0, 12, 0}, {0, 0, 0x10, 8, 0x44, 0, 0, 0, 0, 0, 0, 4}).sense_code(),
              SenseCode::kInvalidFieldInParameterList);
}

TEST_F(TapeDrive, AWriteWithLessDataThanItAnnouncesWritesNothing) {
    ready();
    EXPECT_EQ(execute({0x0A, 0, 0, 0, 10, 0}, Bytes(9)).status, Status::kCheckCondition);
    EXPECT_EQ(position(), 0u);
}

TEST_F(TapeDrive, UnbufferedModeSynchronizesEveryWriteAndForbidsImmediateFilemarks) {
    ready();
    write("buffered");
    EXPECT_NE(contents->stable, contents->bytes);
    EXPECT_EQ(execute({0x15, 0, 0, 0, 4, 0}, {0, 0, 0, 0}).status, Status::kGood);
    write("stable");
    EXPECT_EQ(contents->stable, contents->bytes);
    EXPECT_EQ(execute({0x10, 1, 0, 0, 1, 0}).sense_code(), SenseCode::kInvalidFieldInCdb);
}

TEST_F(TapeDrive, PositionsAreToldInTheFormsThatLinuxAndOthersAskFor) {
    ready();
    write("a");
    filemark();
    write("b");
    for (const std::uint8_t form : {std::uint8_t{0}, std::uint8_t{1}}) {
        const TestTask& task = execute({0x34, form, 0, 0, 0, 0, 0, 0, 0, 0});
        ASSERT_EQ(task.received().size(), 20u);
        EXPECT_EQ(task.received()[0], 0);
        EXPECT_EQ(load_number(task.received().subspan(4, 4)), 3u);
        EXPECT_EQ(load_number(task.received().subspan(8, 4)), 3u);
    }
    const TestTask& task = execute({0x34, 6, 0, 0, 0, 0, 0, 0, 0, 0});
    ASSERT_EQ(task.received().size(), 32u);
    EXPECT_EQ(load_number(task.received().subspan(16, 8)), 1u);
    EXPECT_EQ(execute({0x2B, 0x04, 0, 0, 0, 0, 0, 0, 0, 0}).status, Status::kGood);
    EXPECT_EQ(execute({0x34, 1, 0, 0, 0, 0, 0, 0, 0, 0}).received()[0], 0x80);
    EXPECT_EQ(execute({0x34, 8, 0, 0, 0, 0, 0, 0, 32, 0}).sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_EQ(execute({0x92, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}).status, Status::kGood);
    EXPECT_EQ(position(), 2u);
    EXPECT_EQ(execute({0x92, 0x02, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}).sense_code(),
              SenseCode::kInvalidFieldInCdb);
    EXPECT_EQ(execute({0x92, 0x18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}).status, Status::kGood);
    EXPECT_EQ(position(), 3u);
}

TEST_F(TapeDrive, SpacesInBothLengthsOfItsCommand) {
    ready();
    write("a");
    filemark();
    write("b");
    EXPECT_EQ(execute({0x11, 0x01, 0xFF, 0xFF, 0xFF, 0}).status, Status::kGood);
    EXPECT_EQ(position(), 1u);
    EXPECT_EQ(execute({0x91, 0x00, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0}).status,
              Status::kGood);
    EXPECT_EQ(position(), 0u);
    EXPECT_EQ(execute({0x11, 0x03, 0, 0, 0, 0}).status, Status::kGood);
    EXPECT_EQ(position(), 3u);
    EXPECT_EQ(execute({0x11, 0x02, 0, 0, 1, 0}).sense_code(), SenseCode::kInvalidFieldInCdb);
    EXPECT_EQ(execute({0x11, 0x04, 0, 0, 1, 0}).sense_code(), SenseCode::kInvalidFieldInCdb);
}

TEST_F(TapeDrive, UnloadingSynchronizesAndLoadingBeginsAtTheBeginning) {
    ready();
    write("data");
    EXPECT_EQ(execute({0x1B, 0, 0, 0, 0, 0}).status, Status::kGood);
    EXPECT_EQ(contents->stable, contents->bytes);
    expect_sense(execute({0, 0, 0, 0, 0, 0}), SenseKey::kNotReady, SenseCode::kMediumNotPresent);
    EXPECT_EQ(execute({0x1B, 0, 0, 0, 1, 0}).status, Status::kGood);
    EXPECT_EQ(position(), 0u);
    expect_sense(execute({0, 0, 0, 0, 0, 0}, {}, &other), SenseKey::kUnitAttention, SenseCode::kNotReadyToReadyChange);
    EXPECT_EQ(execute({0x1B, 0, 0, 0, 8, 0}).status, Status::kGood);
    expect_sense(execute({0, 0, 0, 0, 0, 0}), SenseKey::kNotReady, SenseCode::kInitializingCommandRequired);
    EXPECT_EQ(execute({0x1B, 0, 0, 0, 5, 0}).sense_code(), SenseCode::kInvalidFieldInCdb);
}

TEST_F(TapeDrive, AnImmediateUnloadIsAnsweredBeforeItIsDone) {
    ready();
    write("data");
    worker->paused = true;
    EXPECT_TRUE(execute({0x1B, 1, 0, 0, 0, 0}).completed());
    EXPECT_NE(contents->stable, contents->bytes);
    worker->drain();
    EXPECT_EQ(contents->stable, contents->bytes);
}

TEST_F(TapeDrive, PreventedRemovalKeepsTheCartridge) {
    ready();
    EXPECT_EQ(execute({0x1E, 0, 0, 0, 1, 0}, {}, &other).status, Status::kGood);
    expect_sense(execute({0x1B, 0, 0, 0, 0, 0}), SenseKey::kIllegalRequest, SenseCode::kMediumRemovalPrevented);
    std::optional<TapeRemovalError> error;
    const auto note = [&](const std::expected<Cartridge, TapeRemovalError>& removed) {
        error = removed ? std::nullopt : std::optional(removed.error());
    };
    unit->remove(note);
    EXPECT_EQ(error, TapeRemovalError::kPrevented);
    unit->server().detach(other, [] {});
    unit->remove(note);
    EXPECT_FALSE(error.has_value());
    EXPECT_EQ(unit->cartridge(), nullptr);
    unit->remove(note);
    EXPECT_EQ(error, TapeRemovalError::kEmpty);
}

TEST_F(TapeDrive, RemovingWaitsForWhatIsUnderWay) {
    ready();
    worker->paused = true;
    TestTask& written = execute({0x0A, 0, 0, 0, 4, 0}, Bytes(4));
    bool removed = false;
    unit->remove([&](const auto& cartridge) { removed = cartridge.has_value(); });
    expect_sense(execute({0, 0, 0, 0, 0, 0}), SenseKey::kNotReady, SenseCode::kMediumNotPresent);
    EXPECT_FALSE(removed);
    worker->drain();
    EXPECT_EQ(written.status, Status::kGood);
    EXPECT_TRUE(removed);
    EXPECT_EQ(contents->stable, contents->bytes);
}

TEST_F(TapeDrive, AWriteProtectedCartridgeSaysSoInTheModeHeader) {
    ready({.path = "a.tap", .write_protected = true});
    EXPECT_EQ(execute({0x1A, 0, 0, 0, 12, 0}).received()[2], 0x90);
    expect_sense(execute({0x0A, 0, 0, 0, 4, 0}, Bytes(4)), SenseKey::kDataProtect, SenseCode::kWriteProtected);
    expect_sense(execute({0x10, 0, 0, 0, 1, 0}), SenseKey::kDataProtect, SenseCode::kWriteProtected);
    expect_sense(execute({0x19, 1, 0, 0, 0, 0}), SenseKey::kDataProtect, SenseCode::kWriteProtected);
    EXPECT_EQ(execute({0x10, 0, 0, 0, 0, 0}).status, Status::kGood);
}

TEST_F(TapeDrive, TheDeviceConfigurationPageProtectsToo) {
    ready();
    const TestTask& page = execute({0x1A, 8, 0x10, 0, 0xFF, 0});
    Bytes list(page.received().begin(), page.received().end());
    list[0] = 0;
    list[4 + 10] |= 0x04;
    EXPECT_EQ(execute({0x15, 0x10, 0, 0, static_cast<std::uint8_t>(list.size()), 0}, list).status, Status::kGood);
    expect_sense(execute({0x0A, 0, 0, 0, 4, 0}, Bytes(4)), SenseKey::kDataProtect,
                 SenseCode::kLogicalUnitSoftwareWriteProtected);
}

TEST_F(TapeDrive, CompressionCannotBeSwitchedOn) {
    ready();
    const TestTask& page = execute({0x1A, 8, 0x0F, 0, 0xFF, 0});
    ASSERT_EQ(page.received().size(), 4u + 16);
    EXPECT_EQ(page.received()[4 + 2] & 0x40, 0);
    Bytes list(page.received().begin(), page.received().end());
    list[0] = 0;
    list[4 + 2] = 0x80;
    EXPECT_EQ(execute({0x15, 0x10, 0, 0, static_cast<std::uint8_t>(list.size()), 0}, list).sense_code(),
              SenseCode::kInvalidFieldInParameterList);
}

TEST_F(TapeDrive, TellsOfBlockLimitsDensityAndCounters) {
    ready();
    const TestTask& limits = execute({0x05, 0, 0, 0, 0, 0});
    EXPECT_EQ(Bytes(limits.received().begin(), limits.received().end()), (Bytes{0, 0xFF, 0xFF, 0xFF, 0, 1}));
    const TestTask& density = execute({0x44, 1, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0});
    ASSERT_EQ(density.received().size(), 56u);
    EXPECT_EQ(load_number(density.received().first(2)), 54u);
    write("12345");
    const TestTask& log = execute({0x4D, 0, 0x4C, 0, 0, 0, 0, 0xFF, 0xFF, 0});
    EXPECT_EQ(load_number(log.received().subspan(8, 8)), 5u);
}

TEST_F(TapeDrive, EarlyWarningIsToldWithEverythingWritten) {
    ready({.path = "a.tap", .capacity = {.capacity_bytes = 100, .early_warning_bytes = 90}});
    const TestTask& task = execute({0x0A, 0, 0, 0, 4, 0}, Bytes(4));
    expect_sense(task, SenseKey::kNoSense, SenseCode::kEndOfPartitionOrMediumDetected);
    EXPECT_EQ(task.sense.bytes()[2], 0x40);
    EXPECT_EQ(load_number(task.sense.bytes().subspan(3, 4)), 0u);
    EXPECT_EQ(position(), 1u);
}

TEST_F(TapeDrive, AResetRestoresVariableBlocksAndBufferedMode) {
    ready();
    execute({0x15, 0, 0, 0, 12, 0}, {0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 2, 0});
    unit->server().reset(SenseCode::kBusDeviceResetFunctionOccurred, [] {});
    execute({0, 0, 0, 0, 0, 0});
    const TestTask& sense = execute({0x1A, 0, 0, 0, 12, 0});
    EXPECT_EQ(sense.received()[2], 0x10);
    EXPECT_EQ(load_number(sense.received().subspan(9, 3)), 0u);
}

TEST(TapeThread, DoesTheWorkOfADriveAsideOfItsReactor) {
    std::string folder = "/tmp/touka-drive-XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    runtime::Reactor reactor("scsi");
    std::optional<TapeUnit> unit;
    Nexus nexus;
    std::promise<bool> loaded;
    reactor.run_and_wait([&] {
        TapeUnit::Configuration configuration;
        configuration.identity.serial = "T1";
        unit.emplace(std::make_unique<TapeThread>(reactor, "tape"), configuration);
        unit->server().attach(nexus);
        unit->insert({.path = folder + "/a.tap"}, [&](const auto& result) { loaded.set_value(result.has_value()); });
    });
    EXPECT_TRUE(loaded.get_future().get());
    const auto run = [&](Bytes cdb, Bytes data = {}) {
        TestTask task(nexus, std::move(cdb), std::move(data));
        std::promise<void> ended;
        task.on_complete = [&](TestTask&) { ended.set_value(); };
        reactor.post([&] { unit->server().submit(task); });
        ended.get_future().get();
        reactor.run_and_wait([] {});
        return std::pair(task.status, Bytes(task.received().begin(), task.received().end()));
    };
    run({0, 0, 0, 0, 0, 0});
    run({0, 0, 0, 0, 0, 0});
    const Bytes data(200'000, 'x');
    EXPECT_EQ(run({0x0A, 0, 0x03, 0x0D, 0x40, 0}, data).first, Status::kGood);
    EXPECT_EQ(run({0x10, 0, 0, 0, 1, 0}).first, Status::kGood);
    EXPECT_EQ(run({0x01, 0, 0, 0, 0, 0}).first, Status::kGood);
    EXPECT_EQ(run({0x08, 0x02, 0x01, 0, 0, 0}).second, Bytes(65536, 'x'));
    reactor.run_and_wait([&] { unit.reset(); });
    ::unlink((folder + "/a.tap").c_str());
    ::rmdir(folder.c_str());
}

} // namespace
} // namespace touka::scsi
