// What a client sees of a served function: introduction, registers, interrupts, life and death.
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "devices/passthrough/vfio_user/test_client.hpp"

namespace touka::devices::passthrough {
namespace {

using namespace spec::vfio;
using namespace spec::vfio_user;
using test::TestClient;
using test::TestDevice;
using test::TestServer;

struct Served {
    TestServer server;
    TestClient client{server.connect()};
    Served() { (void)client.introduce(); }
};

std::vector<std::byte> version_with(std::string_view text, std::uint16_t major = 0) {
    std::vector<std::byte> payload;
    append(payload, Version{major, 1});
    for (const char c : text) payload.push_back(static_cast<std::byte>(c));
    payload.push_back(std::byte{0});
    return payload;
}

TEST(VfioUserServer, AnswersTheIntroductionWithItsCapabilities) {
    TestServer server;
    TestClient client(server.connect());
    const auto reply = client.introduce();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->at<Version>()->minor, 1);
    const auto capabilities = read_capabilities(reply->after(sizeof(Version)));
    ASSERT_TRUE(capabilities);
    EXPECT_EQ(capabilities->max_message_descriptors, 16u) << "the most that QEMU's client takes";
    EXPECT_TRUE(capabilities->write_multiple);
    EXPECT_FALSE(capabilities->twin_socket);
}

TEST(VfioUserServer, TakesAnIntroductionWithoutCapabilitiesAndOfAnOlderMinor) {
    TestServer server;
    TestClient client(server.connect());
    const auto reply = client.ask(Command::kVersion, Version{0, 0});
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->header.flags, kTypeReply);
    EXPECT_EQ(reply->at<Version>()->minor, 0);
}

TEST(VfioUserServer, EndsTheConnectionOfAClientThatIntroducesItselfWrongly) {
    const std::vector<std::vector<std::byte>> wrong{
        {},
        version_with("{}", 999),
        version_with("{"),
        version_with("\""),
        version_with(R"({"capabilities":"23"})"),
        version_with(R"({"capabilities":{"max_msg_fds":"foo"}})"),
        version_with(R"({"capabilities":{"max_msg_fds":-1}})"),
        version_with(R"({"capabilities":{"max_msg_fds":1025}})"),
        version_with(R"({"capabilities":{"migration":"23"}})"),
        version_with(R"({"capabilities":{"migration":{"pgsize":"foo"}}})"),
        version_with(R"({"capabilities":{"migration":{"pgsize":0}}})"),
        version_with(R"({"capabilities":{"twin_socket":{"supported":3}}})"),
        version_with(std::string(5000, ' ')),
    };
    TestServer server;
    for (const auto& payload : wrong) {
        TestClient client(server.connect());
        EXPECT_EQ(client.tell(Command::kVersion, std::span<const std::byte>(payload)), EINVAL);
        EXPECT_FALSE(client.receive());
        server.wait_until_idle();
    }
    // No NUL at the end.
    TestClient client(server.connect());
    auto payload = version_with("{}");
    payload.pop_back();
    EXPECT_EQ(client.tell(Command::kVersion, std::span<const std::byte>(payload)), EINVAL);
}

TEST(VfioUserServer, WantsTheIntroductionFirstAndOnce) {
    TestServer server;
    TestClient early(server.connect());
    EXPECT_EQ(early.tell(Command::kDeviceReset, std::span<const std::byte>()), EINVAL);
    EXPECT_FALSE(early.receive());
    server.wait_until_idle();
    TestClient twice(server.connect());
    ASSERT_TRUE(twice.introduce());
    EXPECT_EQ(twice.tell(Command::kVersion, Version{0, 1}), EINVAL);
    EXPECT_EQ(twice.read<std::uint16_t>(VFIO_PCI_CONFIG_REGION_INDEX, 0), 0x1234);
}

TEST(VfioUserServer, RefusesCommandsThatNobodyKnowsAndGoesOn) {
    Served it;
    for (const int command : {0, 11, 12, 14, 19, 999}) {
        EXPECT_EQ(it.client.tell(static_cast<Command>(command), std::span<const std::byte>()), EINVAL) << command;
    }
    EXPECT_EQ(it.client.read<std::uint16_t>(VFIO_PCI_CONFIG_REGION_INDEX, 2), 0x5678);
}

TEST(VfioUserServer, RefusesEveryCommandThatIsTruncated) {
    Served it;
    for (std::uint16_t command = 2; command <= 18; ++command) {
        if (command == 13) continue; // a reset has no payload
        for (const std::size_t length : {0, 1, 4, 7}) {
            const std::vector<std::byte> payload(length);
            EXPECT_EQ(it.client.tell(static_cast<Command>(command), std::span<const std::byte>(payload)), EINVAL)
                << command << " with " << length;
        }
    }
}

TEST(VfioUserServer, EndsTheConnectionWhereNoMessageCanBeTold) {
    TestServer server;
    for (const std::uint32_t size : {0u, 15u, 0x7FFF'FFFFu, 0xFFFF'FFFFu}) {
        runtime::DescriptorSocket socket(server.connect());
        const Header header{1, 1, size, 0, 0};
        ASSERT_TRUE(socket.send(bytes_of(header)));
        server.wait_until_idle();
    }
}

TEST(VfioUserServer, PassesOverRepliesThatItDidNotAskFor) {
    Served it;
    it.client.send(Command::kDmaRead, {}, {}, kTypeReply);
    EXPECT_EQ(it.client.read<std::uint16_t>(VFIO_PCI_CONFIG_REGION_INDEX, 0), 0x1234);
}

TEST(VfioUserServer, DoesNotReplyWhereNoneIsWanted) {
    Served it;
    it.client.send(Command::kRegionWrite, TestClient::region_write(0, TestDevice::kBuffer, 0x42, 1), {}, kNoReply);
    EXPECT_EQ(it.client.read<std::uint8_t>(0, TestDevice::kBuffer), 0x42);
}

TEST(VfioUserServer, DescribesADeviceOfNineRegionsAndFiveInterrupts) {
    Served it;
    const auto reply = it.client.ask(Command::kDeviceGetInfo, spec::vfio_user::DeviceInfo{16, 0, 0, 0});
    ASSERT_TRUE(reply);
    const auto info = reply->at<spec::vfio_user::DeviceInfo>().value();
    EXPECT_EQ(info.flags, VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI);
    EXPECT_EQ(info.num_regions, 9u);
    EXPECT_EQ(info.num_irqs, 5u);
    EXPECT_EQ(it.client.tell(Command::kDeviceGetInfo, spec::vfio_user::DeviceInfo{15, 0, 0, 0}), EINVAL);
}

TEST(VfioUserServer, DescribesRegionsAndWhatOfThemCanBeMapped) {
    Served it;
    const auto ask = [&](std::uint32_t index, std::uint32_t argsz) {
        return it.client.ask(Command::kDeviceGetRegionInfo, RegionInfo{argsz, 0, index, 0, 0, 0}).value();
    };
    EXPECT_EQ(ask(VFIO_PCI_CONFIG_REGION_INDEX, 32).at<RegionInfo>()->size, 4096u);
    EXPECT_EQ(ask(VFIO_PCI_ROM_REGION_INDEX, 32).at<RegionInfo>()->size, 0u);
    EXPECT_EQ(ask(1, 32).at<RegionInfo>()->size, 0u);
    EXPECT_EQ(ask(0, 32).at<RegionInfo>()->flags, VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE);
    const auto short_reply = ask(2, 32);
    EXPECT_EQ(short_reply.at<RegionInfo>()->argsz, 64u);
    EXPECT_EQ(short_reply.at<RegionInfo>()->cap_offset, 0u);
    EXPECT_EQ(short_reply.payload.size(), 32u);
    EXPECT_TRUE(short_reply.descriptors.empty()) << "who asks for the size has no room for one";
    const auto whole = ask(2, 64);
    EXPECT_EQ(whole.at<RegionInfo>()->cap_offset, 32u);
    EXPECT_EQ(whole.at<InfoCapHeader>(32)->id, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
    EXPECT_EQ(whole.at<SparseMmapArea>(48)->offset, TestDevice::kSharedAt);
    ASSERT_EQ(whole.descriptors.size(), 1u);
    EXPECT_TRUE(runtime::SharedMapping::map(whole.descriptors[0], TestDevice::kSharedAt, TestDevice::kSharedBytes));
    EXPECT_EQ(it.client.tell(Command::kDeviceGetRegionInfo, RegionInfo{32, 0, 9, 0, 0, 0}), EINVAL);
    EXPECT_EQ(it.client.tell(Command::kDeviceGetRegionInfo, RegionInfo{31, 0, 0, 0, 0, 0}), EINVAL);
}

TEST(VfioUserServer, DescribesABarThatCanBeMappedAsAWholeAsOneArea) {
    Served it;
    it.server.device.shared_areas.clear();
    const auto ask = [&](std::uint32_t argsz) {
        return it.client.ask(Command::kDeviceGetRegionInfo, RegionInfo{argsz, 0, 2, 0, 0, 0}).value();
    };
    EXPECT_EQ(ask(32).at<RegionInfo>()->argsz, 64u);
    EXPECT_TRUE(ask(63).descriptors.empty());
    const auto whole = ask(64);
    EXPECT_EQ(whole.at<SparseMmapArea>(48)->offset, 0u);
    EXPECT_EQ(whole.at<SparseMmapArea>(48)->size, TestDevice::kBar2Bytes);
    EXPECT_EQ(whole.descriptors.size(), 1u);
}

TEST(VfioUserServer, GivesNoDescriptorsToAClientThatTakesNone) {
    TestServer server;
    TestClient client(server.connect());
    Capabilities none;
    none.max_message_descriptors = 0;
    none.twin_socket = true;
    const auto introduced = client.introduce(none).value();
    EXPECT_TRUE(introduced.descriptors.empty());
    EXPECT_FALSE(read_capabilities(introduced.after(sizeof(Version)))->twin_socket);
    const auto bar = client.ask(Command::kDeviceGetRegionInfo, RegionInfo{512, 0, 2, 0, 0, 0}).value();
    EXPECT_TRUE(bar.descriptors.empty());
    EXPECT_EQ(bar.at<RegionInfo>()->flags, VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE);
    const auto doorbells = client.ask(Command::kDeviceGetRegionIoFds, RegionIoFds{512, 0, 0, 0}).value();
    EXPECT_TRUE(doorbells.descriptors.empty());
    EXPECT_EQ(doorbells.at<RegionIoFds>()->count, 0u);
}

TEST(VfioUserServer, ClosesDescriptorsThatComeWithCommandsThatTakeNone) {
    Served it;
    for (const Command command : {Command::kDeviceReset, Command::kDeviceGetInfo, Command::kDeviceSetIrqs}) {
        std::array<int, 2> ends{};
        ASSERT_EQ(::pipe(ends.data()), 0);
        const runtime::UniqueFd read_end(ends[0]);
        runtime::UniqueFd write_end(ends[1]);
        (void)it.client.tell(command, std::span<const std::byte>(), {write_end.get()});
        write_end = runtime::UniqueFd();
        std::byte byte{};
        EXPECT_EQ(::read(read_end.get(), &byte, 1), 0) << "nobody has the other end any more";
    }
}

TEST(VfioUserServer, TakesAccessesOfNothing) {
    Served it;
    const auto read = it.client.ask(Command::kRegionRead, RegionAccess{0x100, 0, 0}).value();
    EXPECT_EQ(read.header.flags, kTypeReply);
    EXPECT_EQ(read.payload.size(), sizeof(RegionAccess));
    EXPECT_EQ(it.client.tell(Command::kRegionWrite, RegionAccess{0x100, 0, 0}), 0);
    EXPECT_EQ(it.client.tell(Command::kRegionRead, RegionAccess{0x1001, 0, 0}), EINVAL);
}

TEST(VfioUserServer, GivesDoorbellsOutWithOneDescriptorForThoseThatShareIt) {
    Served it;
    const auto reply = it.client.ask(Command::kDeviceGetRegionIoFds, RegionIoFds{512, 0, 0, 0}).value();
    EXPECT_EQ(reply.at<RegionIoFds>()->count, 2u);
    EXPECT_EQ(reply.at<RegionIoFds>()->argsz, 96u);
    ASSERT_EQ(reply.descriptors.size(), 1u);
    const auto second = reply.at<SubRegionIoFd>(sizeof(RegionIoFds) + sizeof(SubRegionIoFd)).value();
    EXPECT_EQ(second.offset, TestDevice::kDoorbell + 8);
    EXPECT_EQ(second.flags, kIoFdDataMatch);
    EXPECT_EQ(second.datamatch, 7u);
    const std::uint64_t one = 1;
    ASSERT_EQ(::write(reply.descriptors[0].get(), &one, 8), 8);
    EXPECT_TRUE(it.server.device.doorbell.consume());
    const auto too_short = it.client.ask(Command::kDeviceGetRegionIoFds, RegionIoFds{16, 0, 0, 0}).value();
    EXPECT_EQ(too_short.at<RegionIoFds>()->argsz, 96u);
    EXPECT_TRUE(too_short.descriptors.empty());
    const auto none = it.client.ask(Command::kDeviceGetRegionIoFds, RegionIoFds{512, 0, 2, 0}).value();
    EXPECT_EQ(none.at<RegionIoFds>()->count, 0u);
    for (const RegionIoFds& bad : {RegionIoFds{512, 1, 0, 0}, RegionIoFds{512, 0, 0, 1}, RegionIoFds{15, 0, 0, 0},
                                   RegionIoFds{512, 0, 1, 0}, RegionIoFds{512, 0, 512, 0}}) {
        EXPECT_EQ(it.client.tell(Command::kDeviceGetRegionIoFds, bad), EINVAL);
    }
}

TEST(VfioUserServer, ReadsAndWritesConfigurationSpaceAndBars) {
    Served it;
    EXPECT_EQ(it.client.read<std::uint32_t>(VFIO_PCI_CONFIG_REGION_INDEX, 0), 0x5678'1234u);
    EXPECT_EQ(it.client.write<std::uint16_t>(VFIO_PCI_CONFIG_REGION_INDEX, 4, 0x0006), 0);
    EXPECT_EQ(it.client.read<std::uint16_t>(VFIO_PCI_CONFIG_REGION_INDEX, 4), 0x0006);
    EXPECT_TRUE(it.server.device.bus_master_enabled());
    EXPECT_EQ(it.client.write<std::uint64_t>(0, TestDevice::kBuffer, 0x1122'3344'5566'7788), 0);
    EXPECT_EQ(it.client.read<std::uint32_t>(0, TestDevice::kBuffer + 2), 0x3344'5566u); // two accesses of two bytes
    // All of the configuration space at once.
    const auto all = it.client.ask(Command::kRegionRead, RegionAccess{0, VFIO_PCI_CONFIG_REGION_INDEX, 4096}).value();
    EXPECT_EQ(all.payload.size(), 16u + 4096u);
    EXPECT_EQ(all.at<std::uint16_t>(16 + 2), 0x5678);
}

TEST(VfioUserServer, RefusesAccessesOutsideOfRegions) {
    Served it;
    const auto refuses = [&](std::uint64_t offset, std::uint32_t region, std::uint32_t count) {
        return it.client.tell(Command::kRegionRead, RegionAccess{offset, region, count}) == EINVAL;
    };
    EXPECT_TRUE(refuses(0xFFD, 0, 4));
    EXPECT_TRUE(refuses(~std::uint64_t{0}, 0, 2));
    EXPECT_TRUE(refuses(0, 1, 1));
    EXPECT_TRUE(refuses(0, 6, 1));
    EXPECT_TRUE(refuses(0, 0xFFFF'FFFF, 1));
    EXPECT_TRUE(refuses(0, 0, 0xFFFF'FFFF));
    EXPECT_TRUE(refuses(4096, VFIO_PCI_CONFIG_REGION_INDEX, 1));
    auto wrong_count = TestClient::region_write(0, 0x100, 1, 4);
    wrong_count.push_back(std::byte{0});
    EXPECT_EQ(it.client.tell(Command::kRegionWrite, std::span<const std::byte>(wrong_count)), EINVAL);
}

TEST(VfioUserServer, PerformsSeveralWritesOfOneMessageInOrder) {
    Served it;
    std::vector<std::byte> payload;
    append(payload, std::uint64_t{3});
    append(payload, MultiWrite{TestDevice::kBuffer, 0, 1, 0x11});
    append(payload, MultiWrite{TestDevice::kBuffer + 8, 0, 8, 0x2222'2222'2222'2222});
    append(payload, MultiWrite{TestDevice::kBuffer, 0, 1, 0x33});
    const auto reply = it.client.ask(Command::kRegionWriteMulti, std::span<const std::byte>(payload)).value();
    EXPECT_EQ(reply.at<std::uint64_t>(), 3u);
    EXPECT_EQ(it.client.read<std::uint8_t>(0, TestDevice::kBuffer), 0x33);
    EXPECT_EQ(it.client.read<std::uint64_t>(0, TestDevice::kBuffer + 8), 0x2222'2222'2222'2222u);
    for (const std::uint64_t count : {std::uint64_t{2}, std::uint64_t{4}, ~std::uint64_t{0}}) {
        std::memcpy(payload.data(), &count, sizeof count);
        EXPECT_EQ(it.client.tell(Command::kRegionWriteMulti, std::span<const std::byte>(payload)), EINVAL);
    }
}

TEST(VfioUserServer, ResetsTheFunctionWhenTold) {
    Served it;
    ASSERT_EQ(it.client.write<std::uint16_t>(VFIO_PCI_CONFIG_REGION_INDEX, 4, 0x0006), 0);
    const int before = it.server.device.resets;
    EXPECT_EQ(it.client.tell(Command::kDeviceReset, std::span<const std::byte>()), 0);
    EXPECT_EQ(it.server.device.resets, before + 1);
    EXPECT_EQ(it.client.read<std::uint16_t>(VFIO_PCI_CONFIG_REGION_INDEX, 4), 0);
}

TEST(VfioUserServer, ServesTheNextClientWithAResetFunctionWithoutMemory) {
    TestServer server;
    auto ram = runtime::SharedMapping::create("ram", 0x10000).value();
    {
        TestClient first(server.connect());
        ASSERT_TRUE(first.introduce());
        ASSERT_EQ(first.map(0, 0x10000, {ram.first.get()}), 0);
        ASSERT_EQ(first.write<std::uint8_t>(0, TestDevice::kBuffer, 0x77), 0);
    }
    TestClient second(server.connect()); // may still have to wait for the first one's end
    ASSERT_TRUE(second.introduce());
    EXPECT_EQ(second.read<std::uint8_t>(0, TestDevice::kBuffer), 0);
    EXPECT_EQ(server.grant_count(), 0u);
    EXPECT_GE(server.device.resets, 1);
}

TEST(VfioUserServer, AClientThatLeftWhileItWaitedKeepsNobodyOut) {
    TestServer server;
    auto first = std::make_unique<TestClient>(server.connect());
    ASSERT_TRUE(first->introduce());
    (void)server.connect(); // as who tries whether somebody listens
    TestClient second(server.connect());
    TestClient turned_away(server.connect());
    EXPECT_FALSE(turned_away.introduce());
    first.reset();
    EXPECT_TRUE(second.introduce());
}

TEST(VfioUserServer, AnswersAClientThatAsksForMoreThanItReads) {
    Served it;
    constexpr int kQuestions = 2000; // some 8 MB of answers
    for (int i = 0; i < kQuestions; ++i) {
        it.client.send(Command::kRegionRead, bytes_of(RegionAccess{0, VFIO_PCI_CONFIG_REGION_INDEX, 4096}));
        if (i % 50 == 49) {
            for (int j = 0; j < 50; ++j) ASSERT_TRUE(it.client.receive()) << i;
        }
    }
}

} // namespace
} // namespace touka::devices::passthrough
