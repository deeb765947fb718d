// Device features: migration states and the log of dirty pages.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "devices/passthrough/vfio_user/test_client.hpp"

namespace touka::devices::passthrough {
namespace {

using namespace spec::vfio_user;
using spec::vfio::MigrationState;
using spec::vfio::VFIO_DEVICE_FEATURE_GET;
using spec::vfio::VFIO_DEVICE_FEATURE_PROBE;
using spec::vfio::VFIO_DEVICE_FEATURE_SET;
using Feature = spec::vfio::DeviceFeature;
using memory::DmaAccess;
using memory::Iova;
using test::TestClient;
using test::TestDevice;
using test::TestServer;

struct Served {
    TestServer server;
    TestClient client{server.connect()};
    Served() { (void)client.introduce(); }

    std::optional<Message> feature(std::uint32_t operation, Feature which, std::span<const std::byte> data = {},
                                   std::uint32_t argsz = 4096) {
        std::vector<std::byte> payload;
        append(payload, spec::vfio_user::DeviceFeature{argsz, operation | static_cast<std::uint32_t>(which)});
        payload.insert(payload.end(), data.begin(), data.end());
        return client.ask(Command::kDeviceFeature, std::span<const std::byte>(payload));
    }
    static int error_of(const std::optional<Message>& reply) {
        return reply ? static_cast<int>(reply->header.error) : -1;
    }
    int enter(MigrationState state) {
        return error_of(feature(VFIO_DEVICE_FEATURE_SET, Feature::kMigDeviceState,
                                bytes_of(MigrationDeviceState{static_cast<std::uint32_t>(state), 0})));
    }
    MigrationState state() {
        return static_cast<MigrationState>(
            feature(VFIO_DEVICE_FEATURE_GET, Feature::kMigDeviceState)->at<MigrationDeviceState>(8)->device_state);
    }
    std::vector<std::byte> read_all(std::uint32_t step) { return read_up_to(~std::size_t{0}, step); }
    std::vector<std::byte> read_up_to(std::size_t limit, std::uint32_t at_once = 100) {
        std::vector<std::byte> all;
        while (true) {
            const auto step = static_cast<std::uint32_t>(std::min<std::size_t>(at_once, limit - all.size()));
            const auto reply = client.ask(Command::kMigDataRead, MigrationData{step + 8, step}).value();
            const std::uint32_t size = reply.at<MigrationData>()->size;
            EXPECT_EQ(reply.at<MigrationData>()->argsz, 8 + size);
            EXPECT_EQ(reply.payload.size(), 8 + step) << "as long as asked for, however little is left";
            const auto data = reply.after(8).first(size);
            all.insert(all.end(), data.begin(), data.end());
            if (data.size() < step || all.size() == limit) return all;
        }
    }
    int write(std::span<const std::byte> data) {
        std::vector<std::byte> payload;
        const auto size = static_cast<std::uint32_t>(data.size());
        append(payload, MigrationData{8 + size, size});
        payload.insert(payload.end(), data.begin(), data.end());
        return client.tell(Command::kMigDataWrite, std::span<const std::byte>(payload));
    }
};

TEST(VfioUserMigration, MovesTheFunctionsStateToAnotherServer) {
    Served from, to;
    ASSERT_EQ(from.client.write<std::uint8_t>(0, TestDevice::kBuffer + 3, 0x3C), 0);
    ASSERT_EQ(from.client.write<std::uint16_t>(spec::vfio::VFIO_PCI_CONFIG_REGION_INDEX, 4, 6), 0);
    ASSERT_EQ(from.enter(MigrationState::kStopCopy), 0);
    EXPECT_EQ(from.server.device.pauses, 1);
    const auto data = from.read_all(100);
    ASSERT_EQ(to.enter(MigrationState::kResuming), 0);
    ASSERT_EQ(to.write(std::span(data).first(7)), 0);
    ASSERT_EQ(to.write(std::span(data).subspan(7)), 0);
    ASSERT_EQ(to.enter(MigrationState::kRunning), 0);
    EXPECT_EQ(to.server.device.resumes, 1);
    EXPECT_EQ(to.client.read<std::uint8_t>(0, TestDevice::kBuffer + 3), 0x3C);
    EXPECT_EQ(to.client.read<std::uint16_t>(spec::vfio::VFIO_PCI_CONFIG_REGION_INDEX, 4), 6);
}

TEST(VfioUserMigration, InPreCopyTheFunctionRunsButForTheMomentThatItsStateIsSaved) {
    Served it;
    ASSERT_EQ(it.enter(MigrationState::kPreCopy), 0);
    EXPECT_EQ(it.state(), MigrationState::kPreCopy);
    EXPECT_EQ(it.server.device.pauses, 0);
    EXPECT_FALSE(it.read_all(100).empty());
    EXPECT_EQ(it.server.device.pauses, 1);
    EXPECT_EQ(it.server.device.resumes, 1);
    EXPECT_TRUE(it.read_all(100).empty()) << "once";
    ASSERT_EQ(it.enter(MigrationState::kStopCopy), 0);
    EXPECT_EQ(it.server.device.pauses, 2);
    EXPECT_EQ(it.enter(MigrationState::kPreCopy), EINVAL) << "there is no such way";
}

/// Moves from one server to another by PRE_COPY, of whose data `read_bytes` are read, and delivered or not.
void move_by_pre_copy(std::size_t read_bytes, bool delivered) {
    SCOPED_TRACE(testing::Message() << read_bytes << (delivered ? " delivered" : " left out"));
    Served from, to;
    ASSERT_EQ(from.client.write<std::uint8_t>(0, TestDevice::kBuffer + 3, 0x11), 0);
    ASSERT_EQ(from.client.write<std::uint8_t>(0, TestDevice::kBuffer + 4, 0x22), 0);
    ASSERT_EQ(from.enter(MigrationState::kPreCopy), 0);
    ASSERT_EQ(to.enter(MigrationState::kResuming), 0);
    const auto early = from.read_up_to(read_bytes);
    if (delivered) {
        ASSERT_EQ(to.write(early), 0);
    }
    ASSERT_EQ(from.client.write<std::uint8_t>(0, TestDevice::kBuffer + 3, 0x3C), 0);
    ASSERT_EQ(from.enter(MigrationState::kStopCopy), 0);
    const auto last = from.read_all(100);
    ASSERT_EQ(to.write(std::span(last).first(7)), 0);
    ASSERT_EQ(to.write(std::span(last).subspan(7)), 0);
    ASSERT_EQ(to.enter(MigrationState::kPreCopy), 0) << "through STOP and RUNNING";
    EXPECT_EQ(to.server.device.resumes, 1);
    EXPECT_EQ(to.client.read<std::uint8_t>(0, TestDevice::kBuffer + 3), 0x3C);
    EXPECT_EQ(to.client.read<std::uint8_t>(0, TestDevice::kBuffer + 4), 0x22);
    ASSERT_EQ(to.enter(MigrationState::kRunning), 0);
    EXPECT_EQ(to.server.device.resumes, 1) << "it ran all the time";
    EXPECT_EQ(to.server.device.pauses, 1) << "for RESUMING";
}

TEST(VfioUserMigration, TheLastStateCountsWhateverPreCopySentBefore) {
    for (const std::size_t bytes : {0u, 3u, 8u, 9u, 100u, 100'000u}) {
        for (const bool delivered : {false, true}) move_by_pre_copy(bytes, delivered);
    }
}

TEST(VfioUserMigration, AStateOfAnotherDeviceIsRefusedBeforeTheFunctionStopsWhereItIs) {
    Served from, to;
    ASSERT_EQ(from.enter(MigrationState::kPreCopy), 0);
    auto state = from.read_all(100);
    const auto name = std::ranges::search(state, std::as_bytes(std::span("test", 4)));
    ASSERT_FALSE(name.empty());
    const auto version = name.begin() + 4;
    *version = std::byte{test::TestDeviceState::kVersion + 1};
    ASSERT_EQ(to.enter(MigrationState::kResuming), 0);
    ASSERT_EQ(to.write(std::span(state).first(state.size() - 1)), 0);
    EXPECT_EQ(to.write(std::span(state).last(1)), EINVAL);
    EXPECT_EQ(from.state(), MigrationState::kPreCopy);
    EXPECT_EQ(to.enter(MigrationState::kStop), EINVAL);
}

TEST(VfioUserMigration, AStateThatCannotBeLoadedIsAnErrorUntilTheReset) {
    Served it;
    ASSERT_EQ(it.enter(MigrationState::kResuming), 0);
    const std::array<std::byte, 4> nonsense{};
    ASSERT_EQ(it.write(nonsense), 0);
    EXPECT_EQ(it.enter(MigrationState::kStop), EINVAL);
    EXPECT_EQ(it.state(), MigrationState::kError);
    EXPECT_EQ(it.enter(MigrationState::kRunning), EINVAL);
    ASSERT_EQ(it.client.tell(Command::kDeviceReset, std::span<const std::byte>()), 0);
    EXPECT_EQ(it.state(), MigrationState::kRunning);
}

TEST(VfioUserMigration, RefusesStatesAndDataOutOfPlace) {
    Served it;
    for (const std::uint32_t state : {0u, 5u, 7u, 8u, 0xFFFF'FFFFu}) {
        EXPECT_EQ(it.enter(static_cast<MigrationState>(state)), EINVAL) << state;
    }
    EXPECT_EQ(it.state(), MigrationState::kRunning);
    EXPECT_EQ(it.client.tell(Command::kMigDataRead, MigrationData{108, 100}), EINVAL);
    const std::array<std::byte, 4> data{};
    EXPECT_EQ(it.write(data), EINVAL);
    ASSERT_EQ(it.enter(MigrationState::kStopCopy), 0);
    EXPECT_EQ(it.client.tell(Command::kMigDataRead, MigrationData{100, 100}), EINVAL); // no room for the header
    EXPECT_EQ(it.client.tell(Command::kMigDataRead, MigrationData{~0u, ~0u - 8}), EINVAL);
    EXPECT_EQ(it.write(data), EINVAL);
    ASSERT_EQ(it.enter(MigrationState::kResuming), 0);
    EXPECT_EQ(it.client.tell(Command::kMigDataWrite, MigrationData{8, 1}), EINVAL);
}

TEST(VfioUserFeatures, AreProbed) {
    Served it;
    const auto probe = [&](Feature which, std::uint32_t operations) {
        return Served::error_of(it.feature(VFIO_DEVICE_FEATURE_PROBE | operations, which));
    };
    EXPECT_EQ(probe(Feature::kMigration, VFIO_DEVICE_FEATURE_GET), 0);
    EXPECT_EQ(probe(Feature::kMigration, VFIO_DEVICE_FEATURE_SET), EINVAL);
    EXPECT_EQ(probe(Feature::kMigDeviceState, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET), 0);
    EXPECT_EQ(probe(Feature::kDmaLoggingStart, VFIO_DEVICE_FEATURE_SET), 0);
    EXPECT_EQ(probe(Feature::kDmaLoggingReport, VFIO_DEVICE_FEATURE_GET), 0);
    EXPECT_EQ(probe(static_cast<Feature>(3), VFIO_DEVICE_FEATURE_GET), ENOTTY);
    EXPECT_EQ(Served::error_of(it.feature(VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET, Feature::kMigDeviceState)),
              EINVAL);
    EXPECT_EQ(Served::error_of(it.feature(0, Feature::kMigDeviceState)), EINVAL);
    const auto migration = it.feature(VFIO_DEVICE_FEATURE_GET, Feature::kMigration);
    EXPECT_EQ(migration->at<std::uint64_t>(8),
              spec::vfio::VFIO_MIGRATION_STOP_COPY | spec::vfio::VFIO_MIGRATION_PRE_COPY);
    EXPECT_EQ(migration->at<spec::vfio_user::DeviceFeature>()->argsz, 16u);
    EXPECT_EQ(Served::error_of(it.feature(VFIO_DEVICE_FEATURE_GET, Feature::kMigration, {}, 15)), EINVAL);
}

struct Logged : Served {
    std::pair<runtime::UniqueFd, runtime::SharedMapping> ram = runtime::SharedMapping::create("ram", 0x20000).value();
    Logged() { EXPECT_EQ(client.map(0x10000, 0x20000, {ram.first.get()}), 0); }
    int start(std::uint64_t page_size = 4096) {
        return error_of(
            feature(VFIO_DEVICE_FEATURE_SET, Feature::kDmaLoggingStart, bytes_of(DmaLoggingStart{page_size, 0, 0})));
    }
    std::optional<std::uint64_t> report(std::uint64_t iova, std::uint64_t length, std::uint64_t page_size = 4096) {
        const auto reply = feature(VFIO_DEVICE_FEATURE_GET, Feature::kDmaLoggingReport,
                                   bytes_of(DmaLoggingReport{iova, length, page_size}));
        if (error_of(reply) != 0) return std::nullopt;
        return reply->at<std::uint64_t>(8 + sizeof(DmaLoggingReport));
    }
    void store(std::uint64_t address) {
        EXPECT_EQ(client.write<std::uint64_t>(0, TestDevice::kAddress, address), 0);
        EXPECT_EQ(client.write<std::uint32_t>(0, TestDevice::kLength, 16), 0);
        EXPECT_EQ(client.write<std::uint32_t>(0, TestDevice::kGo, TestDevice::kStore), 0);
    }
};

TEST(VfioUserDirtyLog, ReportsEachWrittenPageOnce) {
    Logged it;
    EXPECT_FALSE(it.report(0x10000, 0x1000)); // not started
    ASSERT_EQ(it.start(), 0);
    it.store(0x10000);
    it.store(0x12FF8); // over the end of a page
    EXPECT_EQ(it.report(0x10000, 0x20000), 0b1101u);
    EXPECT_EQ(it.report(0x10000, 0x20000), 0u);
    const auto span = it.server.space.translate(Iova{0x15000}, 4, DmaAccess::kWrite);
    it.server.space.written(*span);
    it.store(0x17000);
    EXPECT_EQ(it.report(0x14000, 0x2000), 0b10u); // others keep their bits
    EXPECT_EQ(it.report(0x10000, 0x20000, 0x4000), 0b10u);
    ASSERT_EQ(Served::error_of(it.feature(VFIO_DEVICE_FEATURE_SET, Feature::kDmaLoggingStop)), 0);
    EXPECT_FALSE(it.report(0x10000, 0x1000));
}

TEST(VfioUserDirtyLog, TellsWithTheUnmapWhatWasWritten) {
    Logged it;
    ASSERT_EQ(it.start(), 0);
    it.store(0x11000);
    std::vector<std::byte> payload;
    append(payload, DmaUnmap{64, kUnmapGetDirtyBitmap, 0x10000, 0x20000});
    append(payload, DirtyBitmap{4096, 8});
    const auto reply = it.client.ask(Command::kDmaUnmap, std::span<const std::byte>(payload)).value();
    EXPECT_EQ(reply.at<std::uint64_t>(sizeof(DmaUnmap) + sizeof(DirtyBitmap)), 0b10u);
}

TEST(VfioUserDirtyLog, RefusesRangesAndPageSizesThatMakeNoSense) {
    Logged it;
    EXPECT_EQ(it.start(0), EINVAL);
    EXPECT_EQ(it.start(4095), EINVAL);
    std::vector<std::byte> ranges;
    append(ranges, DmaLoggingStart{4096, 1, 0});
    EXPECT_EQ(Served::error_of(it.feature(VFIO_DEVICE_FEATURE_SET, Feature::kDmaLoggingStart, ranges)), EINVAL);
    append(ranges, DmaLoggingRange{~std::uint64_t{0}, 2});
    EXPECT_EQ(Served::error_of(it.feature(VFIO_DEVICE_FEATURE_SET, Feature::kDmaLoggingStart, ranges)), EINVAL);
    ASSERT_EQ(it.start(), 0);
    EXPECT_FALSE(it.report(0x10000, 0));
    EXPECT_FALSE(it.report(0x10000, 0x1000, 0));
    EXPECT_FALSE(it.report(0x10000, 0x1000, 3));
    EXPECT_FALSE(it.report(0x10000, 0x1000, 2048));
    EXPECT_FALSE(it.report(~std::uint64_t{0}, 2));
    EXPECT_FALSE(it.report(0, ~std::uint64_t{0}));
}

} // namespace
} // namespace touka::devices::passthrough
