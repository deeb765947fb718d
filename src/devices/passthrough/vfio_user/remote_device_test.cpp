// The client's role against a real server, and against one that lies.
#include "devices/passthrough/vfio_user/remote_device.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <thread>

#include "devices/passthrough/passthrough_function.hpp"
#include "devices/passthrough/vfio_user/test_client.hpp"
#include "devices/passthrough/vfio_user/test_remote.hpp"
#include "memory/guest_memory.hpp"

namespace touka::devices::passthrough {
namespace {

using namespace spec::vfio;
using memory::DmaAccess;
using memory::Iova;
using test::FakeServer;
using test::Remote;
using test::TestDevice;
using namespace std::chrono_literals;

template <class T>
T read(DeviceTransport& device, std::uint32_t region, std::uint64_t offset) {
    T value{};
    EXPECT_TRUE(device.read(region, offset, std::as_writable_bytes(std::span(&value, 1))));
    return value;
}
template <class T>
void write(DeviceTransport& device, std::uint32_t region, std::uint64_t offset, const T& value) {
    EXPECT_TRUE(device.write(region, offset, bytes_of(value)));
}
void go(DeviceTransport& device, std::uint64_t address, std::uint32_t length, std::uint32_t what) {
    write(device, 0, TestDevice::kAddress, address);
    write(device, 0, TestDevice::kLength, length);
    write(device, 0, TestDevice::kGo, what);
    (void)read<std::uint64_t>(device, 0, TestDevice::kFaults); // posted writes are done
}

TEST(RemoteDevice, LearnsWhatTheServersDeviceHas) {
    Remote remote;
    ASSERT_TRUE(remote.device);
    EXPECT_TRUE(remote.device->can_reset());
    EXPECT_TRUE(remote.device->can_migrate());
    EXPECT_EQ(remote.device->region_bytes(0), TestDevice::kBar0Bytes);
    EXPECT_EQ(remote.device->region_bytes(2), TestDevice::kBar2Bytes);
    EXPECT_EQ(remote.device->region_bytes(VFIO_PCI_CONFIG_REGION_INDEX), 4096u);
    EXPECT_EQ(remote.device->interrupts(VFIO_PCI_MSIX_IRQ_INDEX).count, TestDevice::kVectors);
    EXPECT_EQ(remote.device->region_bytes(1000), 0u);
}

TEST(RemoteDevice, ReadsAndWritesRegions) {
    Remote remote;
    EXPECT_EQ(read<std::uint32_t>(*remote.device, VFIO_PCI_CONFIG_REGION_INDEX, 0), 0x5678'1234u);
    write(*remote.device, 0, TestDevice::kBuffer, std::uint32_t{0xABCD'0123});
    EXPECT_EQ(read<std::uint32_t>(*remote.device, 0, TestDevice::kBuffer), 0xABCD'0123u);
    std::array<std::byte, 8> bytes{};
    EXPECT_EQ(remote.device->read(0, 0xFFC, bytes).error(), TransportError::kRefused);
    EXPECT_EQ(remote.device->read(99, 0, bytes).error(), TransportError::kRefused);
}

TEST(RemoteDevice, ReachesSharedAreasWithoutMessages) {
    Remote remote;
    write(*remote.device, 2, TestDevice::kSharedAt + 8, std::uint32_t{0x1122'3344});
    std::uint32_t there = 0;
    std::memcpy(&there, remote.server.device.shared.second.bytes().data() + TestDevice::kSharedAt + 8, 4);
    EXPECT_EQ(there, 0x1122'3344u);
    // Also while the server does not answer: it is not asked.
    std::atomic<bool> hangs{false}, go_on{false};
    remote.server.reactor.post([&] {
        hangs = true;
        while (!go_on) std::this_thread::sleep_for(1ms);
    });
    while (!hangs) std::this_thread::yield();
    EXPECT_EQ(read<std::uint32_t>(*remote.device, 2, TestDevice::kSharedAt + 8), 0x1122'3344u);
    write(*remote.device, 0, TestDevice::kDoorbell, std::uint32_t{5});
    EXPECT_TRUE(remote.server.device.doorbell.consume());
    write(*remote.device, 0, TestDevice::kDoorbell + 8, std::uint32_t{7});
    EXPECT_TRUE(remote.server.device.doorbell.consume());
    go_on = true;
    write(*remote.device, 0, TestDevice::kDoorbell + 8, std::uint32_t{8}); // another value: a message
    (void)read<std::uint32_t>(*remote.device, 0, 0);
    EXPECT_FALSE(remote.server.device.doorbell.consume());
}

TEST(RemoteDevice, SaysWhatOfItsRegionsIsMemoryAndWhatIsADoorbell) {
    Remote remote;
    const RegionMemory memory = remote.device->region_memory(2);
    ASSERT_EQ(memory.areas.size(), 1u);
    EXPECT_EQ(memory.areas[0].offset, TestDevice::kSharedAt);
    EXPECT_EQ(memory.areas[0].bytes.size(), TestDevice::kSharedBytes);
    EXPECT_TRUE(memory.writable);
    EXPECT_TRUE(memory.holes.empty());
    const RegionMemory rings = remote.device->region_memory(0);
    EXPECT_TRUE(rings.areas.empty());
    ASSERT_EQ(rings.holes.size(), 2u);
    EXPECT_EQ(rings.holes[0].offset, TestDevice::kDoorbell);
    EXPECT_TRUE(remote.device->region_memory(99).areas.empty());

    test::Listener listener;
    remote.device->set_listener(&listener);
    remote.down = true;
    remote.server.reactor.run_and_wait([&] { remote.server.server->close(); });
    listener.wait_for(1, 0);
    EXPECT_TRUE(remote.device->region_memory(2).areas.empty());
    memory.areas[0].bytes[0] = std::byte{1}; // there as long as somebody has it
    remote.device->set_listener(nullptr);
}

TEST(RemoteDevice, GivesTheServerMemoryAndTakesItBack) {
    Remote remote;
    ASSERT_TRUE(grant_all_memory(*remote.device, *remote.ram));
    *remote.at(0x1000) = std::byte{0x66};
    go(*remote.device, 0x1000, 1, TestDevice::kFetch);
    EXPECT_EQ(read<std::uint8_t>(*remote.device, 0, TestDevice::kBuffer), 0x66);
    go(*remote.device, 0x1000, 1, TestDevice::kStore);
    EXPECT_EQ(read<std::uint64_t>(*remote.device, 0, TestDevice::kFaults), 0u);
    ASSERT_TRUE(remote.device->unmap_dma(Iova{0}, Remote::kRamBytes));
    EXPECT_FALSE(remote.device->unmap_dma(Iova{0}, Remote::kRamBytes));
    go(*remote.device, 0x1000, 1, TestDevice::kFetch);
    EXPECT_EQ(read<std::uint64_t>(*remote.device, 0, TestDevice::kFaults), 1u);
    EXPECT_EQ(remote.server.space.faults().count(), 1u);
}

TEST(RemoteDevice, AGrantThatTheServerRefusesLeavesTheOthersAsTheyAre) {
    Remote remote;
    *remote.at(0x2010) = std::byte{0x77};
    ASSERT_TRUE(remote.device->map_dma({.start = Iova{0x2000}, .length_bytes = 0x1000}));
    EXPECT_FALSE(remote.device->map_dma({.start = Iova{0x2000}, .length_bytes = 0x2000})); // overlaps
    go(*remote.device, 0x2010, 1, TestDevice::kFetch);
    EXPECT_EQ(read<std::uint8_t>(*remote.device, 0, TestDevice::kBuffer), 0x77);
    EXPECT_TRUE(remote.device->unmap_dma(Iova{0x2000}, 0x1000));
}

TEST(RemoteDevice, AnswersForMemoryWithoutAFile) {
    Remote remote;
    *remote.at(0x2010) = std::byte{0x77};
    ASSERT_TRUE(remote.device->map_dma({.start = Iova{0x2000}, .length_bytes = 0x1000}));
    go(*remote.device, 0x2010, 1, TestDevice::kFetch);
    EXPECT_EQ(read<std::uint8_t>(*remote.device, 0, TestDevice::kBuffer), 0x77);
    write(*remote.device, 0, TestDevice::kBuffer, std::uint8_t{0x78});
    remote.ram->dirty_log().set_enabled(true);
    go(*remote.device, 0x2011, 1, TestDevice::kStore);
    EXPECT_EQ(*remote.at(0x2011), std::byte{0x78});
    EXPECT_EQ(remote.ram->dirty_log().take()[0], 1u << 2); // the guest's own log knows
    EXPECT_EQ(remote.device->faults().count(), 0u);
}

TEST(RemoteDevice, BringsInterruptsAsEvents) {
    Remote remote;
    const std::array<runtime::Notification, 2> events;
    const std::array fds{events[0].fd(), events[1].fd()};
    ASSERT_TRUE(remote.device->set_events(VFIO_PCI_MSIX_IRQ_INDEX, 1, fds));
    go(*remote.device, 0, 0, TestDevice::kVector + 2);
    EXPECT_FALSE(events[0].consume());
    EXPECT_TRUE(events[1].consume());
    ASSERT_TRUE(remote.device->disable(VFIO_PCI_MSIX_IRQ_INDEX));
    go(*remote.device, 0, 0, TestDevice::kVector + 2);
    EXPECT_FALSE(events[1].consume());
}

TEST(RemoteDevice, ResetsAndMovesTheDevice) {
    Remote from, to;
    write(*from.device, 0, TestDevice::kBuffer, std::uint8_t{0x31});
    ASSERT_TRUE(from.device->set_migration_state(MigrationState::kStopCopy));
    const auto state = from.device->read_state();
    ASSERT_TRUE(state);
    ASSERT_TRUE(to.device->set_migration_state(MigrationState::kResuming));
    ASSERT_TRUE(to.device->write_state(*state));
    ASSERT_TRUE(to.device->set_migration_state(MigrationState::kRunning));
    EXPECT_EQ(read<std::uint8_t>(*to.device, 0, TestDevice::kBuffer), 0x31);
    ASSERT_TRUE(to.device->reset());
    EXPECT_EQ(read<std::uint8_t>(*to.device, 0, TestDevice::kBuffer), 0);
}

TEST(RemoteDevice, ComesBackResetAndWithItsMemoryAfterTheServerDied) {
    Remote remote;
    test::Listener listener;
    remote.device->set_listener(&listener);
    ASSERT_TRUE(grant_all_memory(*remote.device, *remote.ram));
    write(*remote.device, 0, TestDevice::kBuffer, std::uint8_t{0x55});
    remote.down = true;
    remote.server.reactor.run_and_wait([&] { remote.server.server->close(); });
    listener.wait_for(1, 0);
    std::uint8_t byte = 0;
    const auto bytes = std::as_writable_bytes(std::span(&byte, 1));
    EXPECT_EQ(remote.device->read(0, 0, bytes).error(), TransportError::kGone);
    EXPECT_EQ(remote.device->write(0, 0, bytes).error(), TransportError::kGone);
    EXPECT_EQ(remote.device->reset().error(), TransportError::kGone);
    remote.down = false;
    listener.wait_for(1, 1);
    EXPECT_EQ(read<std::uint8_t>(*remote.device, 0, TestDevice::kBuffer), 0);
    *remote.at(0x300) = std::byte{0x12};
    go(*remote.device, 0x300, 1, TestDevice::kFetch);
    EXPECT_EQ(read<std::uint8_t>(*remote.device, 0, TestDevice::kBuffer), 0x12);
    remote.device->set_listener(nullptr);
}

TEST(RemoteDevice, FindsAServerByThePathOfItsSocket) {
    test::TestServer server;
    const std::string path = testing::TempDir() + "vfio-user-" + std::to_string(::getpid());
    const auto ram = memory::GuestMemory::create(4096).value();
    memory::IdentityDmaSpace dma(*ram);
    const auto connect = [&] {
        return RemoteDevice::connect({.name = "path", .dial = RemoteDevice::dialer(path)}, dma);
    };
    EXPECT_FALSE(connect()); // nobody listens
    std::expected<void, std::string> listening;
    server.reactor.run_and_wait([&] { listening = server.server->listen(path); });
    ASSERT_TRUE(listening) << listening.error();
    {
        const auto device = connect();
        ASSERT_TRUE(device) << device.error();
        EXPECT_EQ(read<std::uint16_t>(**device, VFIO_PCI_CONFIG_REGION_INDEX, 0), 0x1234);
        std::expected<void, std::string> again;
        server.reactor.run_and_wait([&] { again = server.server->listen(path); });
        EXPECT_FALSE(again); // another one listens there
    }
    ASSERT_TRUE(connect()); // the next client
}

TEST(RemoteDevice, WaitsABoundedTimeForAServerThatHangs) {
    Remote remote(200ms);
    std::atomic<bool> hangs{false}, go_on{false};
    remote.server.reactor.post([&] {
        hangs = true;
        while (!go_on) std::this_thread::sleep_for(1ms);
    });
    while (!hangs) std::this_thread::yield();
    std::uint8_t byte = 0;
    const auto before = std::chrono::steady_clock::now();
    EXPECT_EQ(remote.device->read(0, 0, std::as_writable_bytes(std::span(&byte, 1))).error(), TransportError::kGone);
    EXPECT_LT(std::chrono::steady_clock::now() - before, 5s);
    EXPECT_EQ(remote.device->read(0, 0, std::as_writable_bytes(std::span(&byte, 1))).error(), TransportError::kGone);
    go_on = true;
}

// --- a server that cannot be trusted ---

TEST(RemoteDevice, RefusesMemoryThatWasNotGranted) {
    FakeServer server;
    auto device = server.connect();
    ASSERT_TRUE(device) << device.error();
    ASSERT_TRUE((*device)->map_dma({.start = Iova{0x1000}, .length_bytes = 0x1000, .writable = false}));
    using spec::vfio_user::DmaAccess;
    const auto error = [&](Command command, std::uint64_t address, std::uint64_t count, bool with_data = true) {
        std::vector<std::byte> payload;
        append(payload, DmaAccess{address, count});
        if (command == Command::kDmaWrite && with_data) payload.resize(payload.size() + count);
        return server.ask(command, payload);
    };
    EXPECT_EQ(error(Command::kDmaRead, 0x1000, 0x1000), 0);
    EXPECT_EQ((*device)->faults().count(), 0u);
    EXPECT_EQ(error(Command::kDmaRead, 0xFFF, 2), EFAULT);
    EXPECT_EQ(error(Command::kDmaRead, 0x1FFF, 2), EFAULT);
    EXPECT_EQ(error(Command::kDmaRead, ~std::uint64_t{0}, 2), EFAULT);
    EXPECT_EQ(error(Command::kDmaWrite, 0x1000, 1), EFAULT); // only for reading
    EXPECT_EQ((*device)->faults().count(), 4u);
    EXPECT_EQ((*device)->faults().last()[3].address, Iova{0x1000});
    EXPECT_EQ((*device)->faults().last()[3].access, memory::DmaAccess::kWrite);
    EXPECT_EQ(error(Command::kDmaRead, 0x1000, 0), 0);
    EXPECT_EQ(error(Command::kDmaWrite, 0x1000, 0), EFAULT);
    EXPECT_EQ(error(Command::kDmaRead, 0x1000, ~std::uint64_t{0}), EINVAL);
    EXPECT_EQ(error(Command::kDmaWrite, 0x1000, 8, false), EINVAL);
    EXPECT_EQ(server.ask(Command::kRegionRead, std::vector<std::byte>(16)), EINVAL);
    ASSERT_TRUE((*device)->unmap_dma(Iova{0x1000}, 0x1000));
    EXPECT_EQ(error(Command::kDmaRead, 0x1000, 1), EFAULT);
}

/// What stands between a device and memory, and hears of what is refused.
class HearingSpace final : public memory::DmaSpace {
public:
    std::expected<std::span<std::byte>, memory::DmaFault> translate(Iova address, std::uint64_t,
                                                                    memory::DmaAccess access) override {
        heard.emplace_back(address, access);
        return std::unexpected(memory::DmaFault{address, access});
    }
    void written(std::span<const std::byte>) override {}
    std::vector<std::pair<Iova, memory::DmaAccess>> heard;
};

TEST(RemoteDevice, TheSpaceBehindItHearsOfWhatIsRefused) {
    HearingSpace space;
    test::TestServer server;
    auto device = RemoteDevice::connect(
        {.name = "remote", .dial = [&]() -> std::expected<runtime::UniqueFd, std::string> { return server.connect(); }},
        space);
    ASSERT_TRUE(device) << device.error();
    EXPECT_FALSE(server.space.translate(Iova{0x7000}, 1, memory::DmaAccess::kWrite));
    for (int i = 0; i < 3000 && (*device)->faults().count() == 0; ++i) std::this_thread::sleep_for(1ms);
    EXPECT_EQ((*device)->faults().count(), 1u);
    ASSERT_EQ(space.heard.size(), 1u);
    EXPECT_EQ(space.heard[0], std::pair(Iova{0x7000}, memory::DmaAccess::kWrite));
}

TEST(RemoteDevice, WhatItsServerReachesForWithoutAGrantIsRefusedRecordedAndNobodyElsesBusiness) {
    FakeServer hostile;
    Remote other;
    auto device = hostile.connect();
    ASSERT_TRUE(device) << device.error();
    ASSERT_TRUE(other.device);
    // The memory goes on behind the grant, before it, and is not to be written.
    ASSERT_TRUE((*device)->map_dma({.start = Iova{0x1000}, .length_bytes = 0x1000}));
    ASSERT_TRUE((*device)->map_dma({.start = Iova{0x4000}, .length_bytes = 0x1000, .writable = false}));
    std::memset(hostile.at(0), 0x5A, 0x8000);
    const auto write = [&](std::uint64_t address, std::uint64_t count) {
        std::vector<std::byte> payload;
        append(payload, spec::vfio_user::DmaAccess{address, count});
        payload.resize(payload.size() + count);
        return hostile.ask(Command::kDmaWrite, payload);
    };
    constexpr std::array<std::pair<std::uint64_t, std::uint64_t>, 4> kAddressAndWhatIsWrong{
        {{0xFF8, 0xFF8}, {0x1FF8, 0x2000}, {0x3000, 0x3000}, {0x4000, 0x4000}}};
    for (const auto& [address, wrong] : kAddressAndWhatIsWrong) {
        EXPECT_EQ(write(address, 16), EFAULT) << address;
        const auto faults = (*device)->faults().last();
        ASSERT_FALSE(faults.empty());
        const auto& fault = faults.back();
        EXPECT_EQ(fault.requester, "fake");
        EXPECT_EQ(fault.address, Iova{wrong});
        EXPECT_EQ(fault.access, memory::DmaAccess::kWrite);
    }
    EXPECT_TRUE(std::all_of(hostile.at(0), hostile.at(0x8000), [](std::byte each) { return each == std::byte{0x5A}; }));
    EXPECT_EQ(write(0x1010, 16), 0);
    EXPECT_EQ(*hostile.at(0x1010), std::byte{0});
    std::uint32_t identity = 0;
    EXPECT_TRUE(other.device->read(spec::vfio::VFIO_PCI_CONFIG_REGION_INDEX, 0,
                                   std::as_writable_bytes(std::span(&identity, 1))));
    EXPECT_EQ(other.device->faults().count(), 0u);
}

TEST(RemoteDevice, RefusesServersThatDescribeImpossibleDevices) {
    using spec::vfio_user::DeviceInfo;
    const auto refuses = [](Command command, const auto& payload, std::uint32_t index = ~0u) {
        FakeServer server;
        server.answers[{command, index}] = {bytes_of(payload).begin(), bytes_of(payload).end()};
        return !server.connect(100ms);
    };
    EXPECT_TRUE(refuses(Command::kVersion, std::uint16_t{0}));
    EXPECT_TRUE(refuses(Command::kVersion, spec::vfio_user::Version{1, 0}));
    EXPECT_TRUE(refuses(Command::kVersion, spec::vfio_user::Version{0, 9}));
    EXPECT_TRUE(refuses(Command::kDeviceGetInfo, std::uint32_t{0}));
    EXPECT_TRUE(refuses(Command::kDeviceGetInfo, DeviceInfo{16, 0, 9, 5}));
    EXPECT_TRUE(refuses(Command::kDeviceGetInfo, DeviceInfo{16, VFIO_DEVICE_FLAGS_PCI, 7, 5}));
    const auto region = [](std::uint32_t index, std::uint64_t size) { return RegionInfo{32, 3, index, 0, size, 0}; };
    EXPECT_TRUE(refuses(Command::kDeviceGetRegionInfo, region(0, std::uint64_t{1} << 63), 0));
    EXPECT_TRUE(refuses(Command::kDeviceGetRegionInfo, region(1, 4096), 0));
    EXPECT_TRUE(refuses(Command::kDeviceGetRegionInfo, region(7, 16), 7));
    EXPECT_TRUE(refuses(Command::kDeviceGetRegionInfo, std::uint64_t{0}, 0));
    EXPECT_TRUE(refuses(Command::kDeviceGetIrqInfo, IrqInfo{16, 1, 2, 4096}, 2));
    EXPECT_FALSE(refuses(Command::kDeviceGetRegionInfo, region(0, 8192), 0));
    EXPECT_FALSE(refuses(Command::kDeviceGetRegionInfo, region(0, 8), 0));
    EXPECT_FALSE(refuses(Command::kDeviceGetRegionInfo, region(0, 0x3000), 0));
}

TEST(RemoteDevice, TakesAreasAndDoorbellsOnlyWhereTheyCanBe) {
    Message reply;
    RegionInfo info{96, 0xF, 2, 32, 0x4000, 0};
    append(reply.payload, info);
    append(reply.payload, InfoCapHeader{VFIO_REGION_INFO_CAP_SPARSE_MMAP, 1, 32}); // in a circle
    append(reply.payload, SparseMmap{1, 0});
    append(reply.payload, SparseMmapArea{0x1000, 0x1000});
    auto file = runtime::SharedMapping::create("bar", 0x4000).value();
    reply.descriptors.push_back(std::move(file.first));
    const auto region = read_region_info(reply, 2);
    ASSERT_TRUE(region);
    EXPECT_EQ(region->mapped(0x1000, 8).size(), 8u);
    EXPECT_TRUE(region->mapped(0xFFC, 8).empty());
    EXPECT_TRUE(region->mapped(0x1FFC, 8).empty());
    const SparseMmapArea outside{0x3000, 0x1001};
    std::memcpy(reply.payload.data() + 48, &outside, sizeof outside);
    EXPECT_FALSE(read_region_info(reply, 2));
    const SparseMmap many{~0u, 0};
    std::memcpy(reply.payload.data() + 40, &many, sizeof many);
    EXPECT_FALSE(read_region_info(reply, 2));
    info.cap_offset = 0xFFFF'FFF0;
    std::memcpy(reply.payload.data(), &info, sizeof info);
    EXPECT_FALSE(read_region_info(reply, 2));

    Message doorbells;
    using namespace spec::vfio_user;
    append(doorbells.payload, RegionIoFds{16 + 6 * 40, 0, 0, 6}); // one more than there are
    append(doorbells.payload, SubRegionIoFd{0x10, 4, 0, kIoFdTypeIoEventFd, 0, 0, 0});
    append(doorbells.payload, SubRegionIoFd{0xFFE, 4, 0, kIoFdTypeIoEventFd, 0, 0, 0});
    append(doorbells.payload, SubRegionIoFd{0x20, 4, 2, kIoFdTypeIoEventFd, 0, 0, 0});
    append(doorbells.payload, SubRegionIoFd{0x20, 4, 0, 1, 0, 0, 0});
    append(doorbells.payload, SubRegionIoFd{0x20, 4, 1, kIoFdTypeIoEventFd, 0, 0, 0}); // a socket
    const runtime::Notification event;
    doorbells.descriptors.emplace_back(::dup(event.fd()));
    doorbells.descriptors.push_back(runtime::DescriptorSocket::pair().first);
    const auto usable = read_doorbells(doorbells, 0x1000);
    ASSERT_EQ(usable.size(), 1u);
    EXPECT_TRUE(usable[0].rings(0x10, 4, 1));
    EXPECT_FALSE(usable[0].rings(0x10, 2, 1));

    Message longer; // entries of 48 bytes, as libvfio-user sends them
    append(longer.payload, RegionIoFds{16 + 48, 0, 0, 1});
    append(longer.payload, SubRegionIoFd{0x10, 4, 0, kIoFdTypeIoEventFd, kIoFdDataMatch, ~0u, 0});
    append(longer.payload, std::uint64_t{9});
    longer.descriptors.emplace_back(::dup(event.fd()));
    const auto matching = read_doorbells(longer, 0x1000);
    ASSERT_EQ(matching.size(), 1u);
    EXPECT_TRUE(matching[0].rings(0x10, 4, 9));
    EXPECT_FALSE(matching[0].rings(0x10, 4, 0));
    for (const RegionIoFds& wrong : {RegionIoFds{0, 0, 0, 1}, RegionIoFds{64, 0, 0, ~0u}, RegionIoFds{~0u, 0, 0, 1}}) {
        std::memcpy(longer.payload.data(), &wrong, sizeof wrong);
        EXPECT_TRUE(read_doorbells(longer, 0x1000).empty());
    }
}

TEST(RemoteDevice, ReadsInPiecesWhereTheServerTakesNoMore) {
    FakeServer server;
    std::vector<std::byte> greeting;
    append(greeting, spec::vfio_user::Version{0, 1});
    Capabilities small;
    small.max_transfer_bytes = 16;
    const auto text = write_capabilities(small);
    greeting.insert(greeting.end(), text.begin(), text.end());
    server.answers[{Command::kVersion, ~0u}] = greeting;
    server.answers[{Command::kRegionRead, ~0u}] = std::vector<std::byte>(16 + 16); // right for 16 bytes alone
    auto device = server.connect();
    ASSERT_TRUE(device);
    std::array<std::byte, 4096> all{};
    EXPECT_TRUE((*device)->read(VFIO_PCI_CONFIG_REGION_INDEX, 0, all));
}

TEST(RemoteDevice, TakesTheStateOutOfMessagesThatAreFilledUp) {
    FakeServer server;
    std::vector<std::byte> answer;
    append(answer, spec::vfio_user::MigrationData{8 + 3, 3});
    answer.resize(8 + 100, std::byte{0x5A});
    server.answers[{Command::kMigDataRead, ~0u}] = answer;
    auto device = server.connect();
    ASSERT_TRUE(device);
    EXPECT_EQ((*device)->read_state().value(), std::vector<std::byte>(3, std::byte{0x5A}));
}

TEST(RemoteDevice, RefusesMoreStateThanTheMessageHas) {
    FakeServer server;
    std::vector<std::byte> answer;
    append(answer, spec::vfio_user::MigrationData{8 + 4, 4});
    answer.resize(8 + 3);
    server.answers[{Command::kMigDataRead, ~0u}] = answer;
    auto device = server.connect();
    ASSERT_TRUE(device);
    EXPECT_EQ((*device)->read_state().error(), TransportError::kRefused);
}

TEST(RemoteDevice, AnswersOfTheWrongLengthAreNoData) {
    FakeServer server;
    server.answers[{Command::kRegionRead, ~0u}] = std::vector<std::byte>(18);
    auto device = server.connect();
    ASSERT_TRUE(device);
    std::uint32_t value = 0;
    EXPECT_EQ((*device)->read(0, 0, std::as_writable_bytes(std::span(&value, 1))).error(), TransportError::kRefused);
}

} // namespace
} // namespace touka::devices::passthrough
