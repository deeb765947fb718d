// DMA: what a served function reaches of its client's memory, and what it does not.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "devices/passthrough/vfio_user/test_client.hpp"

namespace touka::devices::passthrough {
namespace {

using namespace spec::vfio_user;
using memory::DmaAccess;
using memory::Iova;
using test::TestClient;
using test::TestDevice;
using test::TestServer;

constexpr std::uint64_t kRamBytes = 0x10000;

struct Served {
    TestServer server;
    TestClient client{server.connect()};
    std::pair<runtime::UniqueFd, runtime::SharedMapping> ram = runtime::SharedMapping::create("ram", kRamBytes).value();
    explicit Served(const Capabilities& capabilities = TestClient::wide()) : greeting(client.introduce(capabilities)) {}
    int map_ram(std::uint64_t address) { return client.map(address, kRamBytes, {ram.first.get()}); }
    std::byte* at(std::uint64_t offset) { return ram.second.bytes().data() + offset; }
    /// The device copies its buffer to or from memory; sent without waiting for the reply.
    void send_go(std::uint64_t address, std::uint32_t length, std::uint32_t what) {
        EXPECT_EQ(client.write<std::uint64_t>(0, TestDevice::kAddress, address), 0);
        EXPECT_EQ(client.write<std::uint32_t>(0, TestDevice::kLength, length), 0);
        client.send(Command::kRegionWrite, TestClient::region_write(0, TestDevice::kGo, what, 4));
    }
    void go(std::uint64_t address, std::uint32_t length, std::uint32_t what) {
        send_go(address, length, what);
        EXPECT_TRUE(client.receive());
    }
    std::optional<Message> greeting;
};

TEST(VfioUserDma, ReachesWhatWasMappedAndNothingElse) {
    Served it;
    ASSERT_EQ(it.map_ram(0x10'0000), 0);
    *it.at(0x20) = std::byte{0x5A};
    it.go(0x10'0020, 1, TestDevice::kFetch);
    EXPECT_EQ(it.client.read<std::uint8_t>(0, TestDevice::kBuffer), 0x5A);
    it.go(0x10'FFF8, 16, TestDevice::kStore); // half of it is outside
    it.go(0x20, 1, TestDevice::kFetch);
    EXPECT_EQ(it.client.read<std::uint64_t>(0, TestDevice::kFaults), 2u);
    EXPECT_EQ(it.server.space.faults().count(), 2u);
    const auto last = it.server.space.faults().last();
    ASSERT_EQ(last.size(), 2u);
    EXPECT_EQ(last[0].requester, "test");
    EXPECT_EQ(last[0].address, Iova{0x11'0000});
    EXPECT_EQ(last[0].access, DmaAccess::kWrite);
    EXPECT_EQ(last[1].address, Iova{0x20});
}

TEST(VfioUserDma, HonoursRights) {
    Served it;
    ASSERT_EQ(it.client.map(0, kRamBytes, {it.ram.first.get()}, 0, kDmaReadable), 0);
    it.go(0, 1, TestDevice::kStore);
    EXPECT_EQ(it.server.space.faults().count(), 1u);
    EXPECT_FALSE(it.server.space.translate(Iova{0}, 1, DmaAccess::kWrite));
    EXPECT_TRUE(it.server.space.translate(Iova{0}, 1, DmaAccess::kRead));
}

TEST(VfioUserDma, RefusesMapsThatOverlapWrapOrAreNotInTheFile) {
    Served it;
    const int file = it.ram.first.get();
    ASSERT_EQ(it.client.map(0x10000, 0x1000, {file}), 0);
    EXPECT_EQ(it.client.map(0x10000, 0x1000, {file}), EEXIST);
    EXPECT_EQ(it.client.map(0xF000, 0x1001, {file}), EEXIST);
    EXPECT_EQ(it.client.map(0x10FFF, 0x1000, {file}), EEXIST);
    EXPECT_EQ(it.client.map(0, 0x20000, {}), EEXIST);
    EXPECT_EQ(it.client.map(0x20000, 0, {file}), EINVAL);
    EXPECT_EQ(it.client.map(~std::uint64_t{0} - 0xFFE, 0x1000, {}), EINVAL);
    EXPECT_EQ(it.client.map(0x20000, kRamBytes + 1, {file}), EINVAL);
    EXPECT_EQ(it.client.map(0x20000, 0x1000, {file}, kRamBytes), EINVAL);
    EXPECT_EQ(it.client.map(0x20000, 0x1000, {file}, ~std::uint64_t{0}), EINVAL);
    EXPECT_EQ(it.client.map(0x20000, 0x1000, {file}, 0, 0), EINVAL);
    EXPECT_EQ(it.client.map(0x20000, 0x1000, {file}, 0, 0xFF), EINVAL);
    EXPECT_EQ(it.client.map(0x20000, 0x1000, {file, file}), EINVAL);
    EXPECT_EQ(it.client.tell(Command::kDmaMap, DmaMap{31, 3, 0, 0x20000, 0x1000}), EINVAL);
    EXPECT_EQ(it.client.map(0x20000, std::uint64_t{1} << 60, {file}), ENOSPC);
    EXPECT_EQ(it.server.grant_count(), 1u);
    EXPECT_EQ(it.client.map(~std::uint64_t{0} - 0xFFF, 0x1000, {file}), 0); // up to the last address
}

TEST(VfioUserDma, ManyPagesOfOneFileAreOneMappingOfIt) {
    constexpr std::uint64_t kPages = 20'000;
    const auto [file, memory] = runtime::SharedMapping::create("pages", kPages * 4096).value();
    MappedDmaSpace space("many");
    for (std::uint64_t page = 0; page < kPages; ++page) // the last one first
        ASSERT_TRUE(space.grant(Iova{8192 * page}, 4096, {true, true}, file, 4096 * (kPages - 1 - page)));
    const auto first = space.translate(Iova{0}, 4096, DmaAccess::kWrite);
    const auto last = space.translate(Iova{8192 * (kPages - 1)}, 4096, DmaAccess::kWrite);
    ASSERT_TRUE(first && last);
    EXPECT_EQ(first->data() - last->data(), static_cast<std::ptrdiff_t>(4096 * (kPages - 1)));
    EXPECT_FALSE(space.translate(Iova{4096}, 1, DmaAccess::kRead));
    first->front() = std::byte{7};
    EXPECT_EQ(memory.bytes()[4096 * (kPages - 1)], std::byte{7});
}

TEST(VfioUserDma, UnmapsExactlyWhatWasMapped) {
    Served it;
    ASSERT_EQ(it.map_ram(0x10000), 0);
    EXPECT_EQ(it.client.unmap(0x10000, kRamBytes - 1), ENOENT);
    EXPECT_EQ(it.client.unmap(0x11000, 0x1000), ENOENT);
    EXPECT_EQ(it.client.unmap(0x10000, kRamBytes, 4), ENOTSUP);
    EXPECT_EQ(it.client.unmap(0x10000, kRamBytes, kUnmapGetDirtyBitmap), EINVAL); // nothing is logged
    const auto reply = it.client.ask(Command::kDmaUnmap, DmaUnmap{sizeof(DmaUnmap), 0, 0x10000, kRamBytes}).value();
    EXPECT_EQ(reply.at<DmaUnmap>()->address, 0x10000u);
    EXPECT_EQ(reply.at<DmaUnmap>()->size, kRamBytes);
    EXPECT_FALSE(it.server.space.translate(Iova{0x10000}, 1, DmaAccess::kRead));
}

TEST(VfioUserDma, UnmapsEverythingAtOnce) {
    Served it;
    ASSERT_EQ(it.map_ram(0x10000), 0);
    ASSERT_EQ(it.client.map(0x40000, 0x1000), 0);
    EXPECT_EQ(it.client.unmap(0x10000, 0, kUnmapAll), EINVAL);
    EXPECT_EQ(it.client.unmap(0, 0, kUnmapAll | kUnmapGetDirtyBitmap), EINVAL);
    EXPECT_EQ(it.client.unmap(0, 0, kUnmapAll), 0);
    EXPECT_EQ(it.server.grant_count(), 0u);
}

TEST(VfioUserDma, AnUnmapIsAnsweredWhenTheUsesBeforeItAreOver) {
    Served it;
    ASSERT_EQ(it.map_ram(0), 0);
    auto use = it.server.space.use();
    const auto bytes = it.server.space.translate(Iova{0}, 16, DmaAccess::kWrite);
    ASSERT_TRUE(bytes);
    const auto generation = it.server.space.generation();
    it.client.send(Command::kDmaUnmap, bytes_of(DmaUnmap{sizeof(DmaUnmap), 0, 0, kRamBytes}));
    it.client.send(Command::kRegionRead, bytes_of(RegionAccess{0, 7, 2})); // waits for its turn
    EXPECT_TRUE(it.client.nothing_comes());
    EXPECT_NE(it.server.space.generation(), generation);
    EXPECT_FALSE(it.server.space.translate(Iova{0}, 16, DmaAccess::kWrite)); // taken away at once
    bytes->front() = std::byte{1};                                           // still mapped for who began before
    use.end();
    EXPECT_EQ(it.client.receive()->command(), Command::kDmaUnmap);
    EXPECT_EQ(it.client.receive()->command(), Command::kRegionRead);
}

TEST(VfioUserDma, AnUnmapWaitsForHoldsOfThatMemoryAlone) {
    Served it;
    ASSERT_EQ(it.map_ram(0), 0);
    ASSERT_EQ(it.map_ram(0x100000), 0);
    memory::DmaHold hold;
    {
        const auto use = it.server.space.use();
        const auto bytes = it.server.space.translate(Iova{0x1000}, 16, DmaAccess::kWrite);
        ASSERT_TRUE(bytes);
        hold.add({Iova{0x1000}, *bytes, DmaAccess::kWrite});
        it.server.space.hold(hold);
    }
    EXPECT_EQ(it.client.unmap(0x100000, kRamBytes), 0);
    it.client.send(Command::kDmaUnmap, bytes_of(DmaUnmap{sizeof(DmaUnmap), 0, 0, kRamBytes}));
    EXPECT_TRUE(it.client.nothing_comes());
    hold.ranges()[0].memory.front() = std::byte{1}; // still mapped
    hold.end();
    EXPECT_EQ(it.client.receive()->command(), Command::kDmaUnmap);
}

TEST(VfioUserDma, AClientThatVanishesIsCleanedUpAfterWhenItsMemoryIsNotUsed) {
    TestServer server;
    auto use = server.space.use();
    {
        TestClient client(server.connect());
        ASSERT_TRUE(client.introduce());
    }
    bool connected = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    server.reactor.run_and_wait([&] { connected = server.server->connected(); });
    EXPECT_TRUE(connected);
    EXPECT_EQ(server.device.resets, 0);
    use.end();
    server.wait_until_idle();
    EXPECT_EQ(server.device.resets, 1);
}

// Memory without a file: the client is asked for it, in the middle of its own command.
TEST(VfioUserDma, AsksTheClientForMemoryWithoutAFile) {
    Served it;
    ASSERT_EQ(it.client.map(0x8000, 0x1000), 0);
    it.send_go(0x8010, 4, TestDevice::kFetch);
    const auto question = it.client.receive().value();
    EXPECT_EQ(question.command(), Command::kDmaRead);
    EXPECT_FALSE(question.is_reply());
    EXPECT_EQ(question.at<spec::vfio_user::DmaAccess>()->address, 0x8010u);
    std::vector<std::byte> answer = question.payload;
    append(answer, std::uint32_t{0xCAFE'F00D});
    // Commands that come before the answer wait until the one that asks is done.
    it.client.send(Command::kRegionRead, bytes_of(RegionAccess{TestDevice::kBuffer, 0, 4}));
    it.client.reply_to(question, answer);
    EXPECT_EQ(it.client.receive()->command(), Command::kRegionWrite);
    EXPECT_EQ(it.client.receive()->at<std::uint32_t>(sizeof(RegionAccess)), 0xCAFE'F00Du);

    it.send_go(0x8010, 4, TestDevice::kStore);
    const auto store = it.client.receive().value();
    EXPECT_EQ(store.command(), Command::kDmaWrite);
    EXPECT_EQ(store.at<std::uint32_t>(sizeof(spec::vfio_user::DmaAccess)), 0xCAFE'F00Du);
    it.client.reply_to(store, std::span(store.payload).first(16));
    EXPECT_TRUE(it.client.receive());
    EXPECT_EQ(it.client.read<std::uint64_t>(0, TestDevice::kFaults), 0u);
}

TEST(VfioUserDma, AFileThatBecomesShorterIsAFaultAndNoEnd) {
    Served it;
    const runtime::UniqueFd file(::memfd_create("unsealed", MFD_CLOEXEC));
    ASSERT_EQ(::ftruncate(file.get(), 0x2000), 0);
    ASSERT_EQ(it.client.map(0, 0x2000, {file.get()}), 0);
    EXPECT_TRUE(it.server.space.translate(Iova{0}, 1, DmaAccess::kRead));
    ASSERT_EQ(::ftruncate(file.get(), 0x1000), 0);
    it.send_go(0x1000, 4, TestDevice::kStore);
    EXPECT_TRUE(it.client.receive());
    EXPECT_EQ(it.client.read<std::uint64_t>(0, TestDevice::kFaults), 1u);
    it.send_go(0x1000, 4, TestDevice::kFetch);
    EXPECT_TRUE(it.client.receive());
    EXPECT_EQ(it.client.read<std::uint64_t>(0, TestDevice::kFaults), 2u);
    EXPECT_FALSE(it.server.space.translate(Iova{0}, 1, DmaAccess::kRead)) << "none of it counts any more";
    EXPECT_EQ(it.client.unmap(0, 0x2000), 0);
    ASSERT_EQ(it.client.map(0, 0x1000, {file.get()}), 0);
    EXPECT_TRUE(it.server.space.translate(Iova{0}, 1, DmaAccess::kRead));
}

TEST(VfioUserDma, AWrongOrMissingAnswerIsAFault) {
    TestServer server(std::chrono::milliseconds(50));
    TestClient client(server.connect());
    ASSERT_TRUE(client.introduce());
    ASSERT_EQ(client.map(0, 0x1000), 0);
    ASSERT_EQ(client.write<std::uint32_t>(0, TestDevice::kLength, 4), 0);
    const auto fetch = TestClient::region_write(0, TestDevice::kGo, TestDevice::kFetch, 4);
    client.send(Command::kRegionWrite, fetch);
    client.reply_to(client.receive().value(), {}, EFAULT);
    ASSERT_TRUE(client.receive());
    client.send(Command::kRegionWrite, fetch);
    const auto question = client.receive().value();
    client.reply_to(question, question.payload); // without the data
    ASSERT_TRUE(client.receive());
    client.send(Command::kRegionWrite, fetch);
    ASSERT_TRUE(client.receive()); // never answered
    ASSERT_TRUE(client.receive());
    EXPECT_EQ(client.read<std::uint64_t>(0, TestDevice::kFaults), 3u);
    EXPECT_EQ(server.space.faults().count(), 3u);
}

TEST(VfioUserDma, AsksFromAnyThread) {
    Served it;
    ASSERT_EQ(it.client.map(0, 0x1000), 0);
    std::array<std::byte, 2> bytes{};
    bool read = false;
    std::thread device([&] { read = it.server.space.read(Iova{4}, bytes).has_value(); });
    const auto question = it.client.receive().value();
    std::vector<std::byte> answer = question.payload;
    append(answer, std::uint16_t{0x1234});
    it.client.reply_to(question, answer);
    device.join();
    EXPECT_TRUE(read);
    EXPECT_EQ(bytes[0], std::byte{0x34});
}

TEST(VfioUserDma, AsksOverATwinSocketWhereTheClientHasOne) {
    Capabilities capabilities = TestClient::wide();
    capabilities.twin_socket = true;
    Served it(capabilities);
    ASSERT_TRUE(it.greeting);
    const auto server_capabilities = read_capabilities(it.greeting->after(sizeof(Version)));
    ASSERT_TRUE(server_capabilities && server_capabilities->twin_socket);
    ASSERT_EQ(it.greeting->descriptors.size(), 1u);
    ASSERT_EQ(server_capabilities->twin_socket_index, 0u);
    TestClient twin(std::move(it.greeting->descriptors[0]));
    ASSERT_EQ(it.client.map(0, 0x1000), 0);
    it.send_go(0, 1, TestDevice::kFetch);
    const auto question = twin.receive().value();
    EXPECT_EQ(question.command(), Command::kDmaRead);
    std::vector<std::byte> answer = question.payload;
    answer.push_back(std::byte{0x99});
    twin.reply_to(question, answer);
    EXPECT_TRUE(it.client.receive());
    EXPECT_EQ(it.client.read<std::uint8_t>(0, TestDevice::kBuffer), 0x99);
}

TEST(VfioUserDma, TellsOfBlockedAccessesOverATwinSocketWithoutWaiting) {
    Capabilities capabilities = TestClient::wide();
    capabilities.twin_socket = true;
    Served it(capabilities);
    ASSERT_TRUE(it.greeting && it.greeting->descriptors.size() == 1);
    TestClient twin(std::move(it.greeting->descriptors[0]));
    EXPECT_FALSE(it.server.space.translate(Iova{0x5000}, 8, DmaAccess::kWrite));
    const auto told = twin.receive().value();
    EXPECT_EQ(told.command(), Command::kDmaWrite);
    EXPECT_FALSE(told.wants_reply());
    EXPECT_EQ(told.at<spec::vfio_user::DmaAccess>()->address, 0x5000u);
    EXPECT_EQ(told.at<spec::vfio_user::DmaAccess>()->count, 0u);
    EXPECT_EQ(told.payload.size(), sizeof(spec::vfio_user::DmaAccess));
}

TEST(VfioUserDma, SplitsWhatTheClientCannotTakeInOneMessage) {
    Capabilities capabilities = TestClient::wide();
    capabilities.max_transfer_bytes = 8;
    Served it(capabilities);
    ASSERT_EQ(it.client.map(0, 0x1000), 0);
    it.send_go(0, 12, TestDevice::kStore);
    for (const std::uint64_t count : {8, 4}) {
        const auto question = it.client.receive().value();
        EXPECT_EQ(question.at<spec::vfio_user::DmaAccess>()->count, count);
        it.client.reply_to(question, std::span(question.payload).first(16));
    }
    EXPECT_EQ(it.client.receive()->command(), Command::kRegionWrite);
}

} // namespace
} // namespace touka::devices::passthrough
