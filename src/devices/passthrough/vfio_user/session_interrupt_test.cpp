// SET_IRQS in all its forms, and what a function's interrupts then do.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

#include "devices/passthrough/vfio_user/test_client.hpp"

namespace touka::devices::passthrough {
namespace {

using namespace spec::vfio;
using test::TestClient;
using test::TestDevice;
using test::TestServer;

constexpr std::uint32_t kNone = VFIO_IRQ_SET_DATA_NONE, kBool = VFIO_IRQ_SET_DATA_BOOL,
                        kEvent = VFIO_IRQ_SET_DATA_EVENTFD, kMask = VFIO_IRQ_SET_ACTION_MASK,
                        kUnmask = VFIO_IRQ_SET_ACTION_UNMASK, kTrigger = VFIO_IRQ_SET_ACTION_TRIGGER;
constexpr std::uint32_t kIntx = VFIO_PCI_INTX_IRQ_INDEX, kMsix = VFIO_PCI_MSIX_IRQ_INDEX, kErr = VFIO_PCI_ERR_IRQ_INDEX,
                        kReq = VFIO_PCI_REQ_IRQ_INDEX;

struct Served {
    TestServer server;
    TestClient client{server.connect()};
    Served() { (void)client.introduce(); }

    int set(std::uint32_t flags, std::uint32_t index, std::uint32_t start, std::uint32_t count,
            const std::vector<int>& descriptors = {}, const std::vector<std::uint8_t>& data = {}) {
        std::vector<std::byte> payload;
        append(payload, IrqSet{static_cast<std::uint32_t>(sizeof(IrqSet) + data.size()), flags, index, start, count});
        for (const std::uint8_t byte : data) payload.push_back(static_cast<std::byte>(byte));
        return client.tell(Command::kDeviceSetIrqs, std::span<const std::byte>(payload), descriptors);
    }
    void go(std::uint32_t what) { EXPECT_EQ(client.write<std::uint32_t>(0, TestDevice::kGo, what), 0); }
};

TEST(VfioUserInterrupts, AreDescribed) {
    Served it;
    const auto count = [&](std::uint32_t index) {
        return it.client.ask(Command::kDeviceGetIrqInfo, IrqInfo{16, 0, index, 0})->at<IrqInfo>().value();
    };
    EXPECT_EQ(count(kIntx).count, 1u);
    EXPECT_EQ(count(kIntx).flags, VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED);
    EXPECT_EQ(count(VFIO_PCI_MSI_IRQ_INDEX).count, 0u);
    EXPECT_EQ(count(kMsix).count, TestDevice::kVectors);
    EXPECT_EQ(count(kErr).count, 1u);
    EXPECT_EQ(count(kReq).count, 1u);
    EXPECT_EQ(it.client.tell(Command::kDeviceGetIrqInfo, IrqInfo{16, 0, 5, 0}), EINVAL);
    EXPECT_EQ(it.client.tell(Command::kDeviceGetIrqInfo, IrqInfo{15, 0, 0, 0}), EINVAL);
}

TEST(VfioUserInterrupts, SignalTheirVectorsWhateverTheFunctionsOwnTableSays) {
    Served it;
    const runtime::Notification first, second;
    ASSERT_EQ(it.set(kEvent | kTrigger, kMsix, 1, 2, {first.fd(), second.fd()}), 0);
    it.go(TestDevice::kVector + 2);
    EXPECT_FALSE(first.consume());
    EXPECT_TRUE(second.consume());
    it.go(TestDevice::kVector + 3);                       // nobody listens
    ASSERT_EQ(it.set(kEvent | kTrigger, kMsix, 2, 1), 0); // without a descriptor: nobody any more
    it.go(TestDevice::kVector + 2);
    EXPECT_FALSE(second.consume());
}

TEST(VfioUserInterrupts, AreTriggeredByTheClientForTest) {
    Served it;
    const runtime::Notification first, second;
    ASSERT_EQ(it.set(kEvent | kTrigger, kMsix, 0, 2, {first.fd(), second.fd()}), 0);
    EXPECT_EQ(it.set(kNone | kTrigger, kMsix, 1, 1), 0);
    EXPECT_TRUE(second.consume());
    EXPECT_EQ(it.set(kBool | kTrigger, kMsix, 0, 2, {}, {1, 0}), 0);
    EXPECT_TRUE(first.consume());
    EXPECT_FALSE(second.consume());
}

TEST(VfioUserInterrupts, MaskedVectorsAreRemembered) {
    Served it;
    const runtime::Notification event;
    ASSERT_EQ(it.set(kEvent | kTrigger, kMsix, 0, 1, {event.fd()}), 0);
    ASSERT_EQ(it.set(kNone | kMask, kMsix, 0, 1), 0);
    it.go(TestDevice::kVector);
    EXPECT_FALSE(event.consume());
    ASSERT_EQ(it.set(kBool | kUnmask, kMsix, 0, 1, {}, {1}), 0);
    EXPECT_TRUE(event.consume());
}

TEST(VfioUserInterrupts, DisablingAnIndexForgetsAllOfIt) {
    Served it;
    const runtime::Notification event;
    ASSERT_EQ(it.set(kEvent | kTrigger, kMsix, 0, 1, {event.fd()}), 0);
    ASSERT_EQ(it.set(kNone | kTrigger, kMsix, 0, 0), 0);
    it.go(TestDevice::kVector);
    EXPECT_FALSE(event.consume());
}

TEST(VfioUserInterrupts, IntxMasksItselfAndComesAgainWhileItStands) {
    Served it;
    const runtime::Notification event;
    ASSERT_EQ(it.set(kEvent | kTrigger, kIntx, 0, 1, {event.fd()}), 0);
    it.go(TestDevice::kAssert);
    EXPECT_TRUE(event.consume());
    it.go(TestDevice::kDeassert);
    it.go(TestDevice::kAssert);
    EXPECT_FALSE(event.consume()); // still masked
    ASSERT_EQ(it.set(kNone | kUnmask, kIntx, 0, 1), 0);
    EXPECT_TRUE(event.consume()); // the level stands
    it.go(TestDevice::kDeassert);
    ASSERT_EQ(it.set(kNone | kUnmask, kIntx, 0, 1), 0);
    EXPECT_FALSE(event.consume());
    EXPECT_EQ(it.client.read<std::uint16_t>(VFIO_PCI_CONFIG_REGION_INDEX, 6).value() & 0x8, 0);
}

TEST(VfioUserInterrupts, IntxComesAgainWhenTheFunctionHasSeenToWhatItWasTold) {
    Served it;
    const runtime::Notification event;
    ASSERT_EQ(it.set(kEvent | kTrigger, kIntx, 0, 1, {event.fd()}), 0);
    it.server.device.settles_at_once = false;
    const auto settle = [&] {
        for (const auto& then : std::exchange(it.server.device.to_settle, {})) then();
    };
    it.go(TestDevice::kAssert);
    EXPECT_TRUE(event.consume());
    ASSERT_EQ(it.set(kNone | kUnmask, kIntx, 0, 1), 0);
    EXPECT_FALSE(event.consume()) << "the level may be an old one";
    it.go(TestDevice::kDeassert);
    settle();
    EXPECT_FALSE(event.consume());
    it.go(TestDevice::kAssert);
    EXPECT_TRUE(event.consume());
    ASSERT_EQ(it.set(kNone | kUnmask, kIntx, 0, 1), 0);
    settle();
    EXPECT_TRUE(event.consume()) << "it stands";
    ASSERT_EQ(it.set(kNone | kUnmask, kIntx, 0, 1), 0);
    ASSERT_EQ(it.set(kNone | kMask, kIntx, 0, 1), 0);
    settle();
    EXPECT_FALSE(event.consume()) << "masked again meanwhile";
}

TEST(VfioUserInterrupts, AFunctionMaySettleWhenItsClientHasLeft) {
    TestServer server;
    server.device.settles_at_once = false;
    {
        TestClient client(server.connect());
        ASSERT_TRUE(client.introduce());
        const IrqSet unmask{sizeof unmask, kNone | kUnmask, kIntx, 0, 1};
        ASSERT_EQ(client.tell(Command::kDeviceSetIrqs, unmask), 0);
    }
    server.wait_until_idle();
    for (const auto& then : std::exchange(server.device.to_settle, {})) then();
}

TEST(VfioUserInterrupts, IntxIsUnmaskedByAnEvent) {
    Served it;
    const runtime::Notification event, unmask;
    ASSERT_EQ(it.set(kEvent | kTrigger, kIntx, 0, 1, {event.fd()}), 0);
    ASSERT_EQ(it.set(kEvent | kUnmask, kIntx, 0, 1, {unmask.fd()}), 0);
    it.go(TestDevice::kAssert);
    EXPECT_TRUE(event.consume());
    unmask.signal();
    pollfd ready{event.fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&ready, 1, 3000), 1);
}

TEST(VfioUserInterrupts, ErrorAndRequestReachTheClient) {
    Served it;
    const runtime::Notification error, request;
    ASSERT_EQ(it.set(kEvent | kTrigger, kErr, 0, 1, {error.fd()}), 0);
    ASSERT_EQ(it.set(kEvent | kTrigger, kReq, 0, 1, {request.fd()}), 0);
    it.server.reactor.run_and_wait([&] {
        it.server.server->session()->interrupts().raise_error();
        it.server.server->session()->interrupts().request_release();
    });
    EXPECT_TRUE(error.consume());
    EXPECT_TRUE(request.consume());
}

TEST(VfioUserInterrupts, RefuseWhatMakesNoSense) {
    Served it;
    const runtime::Notification event;
    EXPECT_EQ(it.set(kTrigger | kNone, 5, 0, 0), EINVAL);
    EXPECT_EQ(it.set(kMask | kUnmask | kNone, kMsix, 0, 1), EINVAL);
    EXPECT_EQ(it.set(kMask | kUnmask, kMsix, 0, 1), EINVAL);
    EXPECT_EQ(it.set(kMask | kNone | kBool, kMsix, 0, 1), EINVAL);
    EXPECT_EQ(it.set(kTrigger | kNone | 0x40, kMsix, 0, 1), EINVAL);
    EXPECT_EQ(it.set(kTrigger | kNone, kMsix, 3, 2), EINVAL);
    EXPECT_EQ(it.set(kTrigger | kNone, kMsix, 0xFFFF'FFFF, 2), EINVAL);
    EXPECT_EQ(it.set(kTrigger | kNone, kMsix, 5, 0), EINVAL);
    EXPECT_EQ(it.set(kMask | kNone, kErr, 0, 1), EINVAL);
    EXPECT_EQ(it.set(kMask | kNone, kReq, 0, 1), EINVAL);
    EXPECT_EQ(it.set(kTrigger | kNone, kErr, 0, 2), EINVAL);
    EXPECT_EQ(it.set(kMask | kNone, kMsix, 1, 0), EINVAL);
    EXPECT_EQ(it.set(kMask | kNone, kMsix, 0, 0), EINVAL);
    EXPECT_EQ(it.set(kTrigger | kBool, kMsix, 0, 0), EINVAL);
    EXPECT_EQ(it.set(kTrigger | kBool, kMsix, 0, 1, {event.fd()}, {0}), EINVAL);
    EXPECT_EQ(it.set(kTrigger | kNone, kMsix, 0, 1, {event.fd()}), EINVAL);
    EXPECT_EQ(it.set(kTrigger | kEvent, kMsix, 0, 2, {event.fd()}), EINVAL);
    EXPECT_EQ(it.set(kTrigger | kEvent, kMsix, 0, 1, {event.fd(), event.fd()}), EINVAL);
    EXPECT_EQ(it.set(kTrigger | kBool, kMsix, 0, 2, {}, {0}), EINVAL);
    EXPECT_EQ(it.set(kTrigger | kBool, kMsix, 0, 2, {}, {0, 0, 0}), EINVAL);
}

TEST(VfioUserInterrupts, TakeNoDescriptorThatIsNoEventfd) {
    Served it;
    auto [one, other] = runtime::DescriptorSocket::pair();
    EXPECT_EQ(it.set(kTrigger | kEvent, kMsix, 0, 1, {one.get()}), EINVAL);
}

TEST(VfioUserInterrupts, LeaveTheFlagsOfTheClientsEventfdsAsTheyAre) {
    Served it;
    const runtime::UniqueFd waiting(::eventfd(0, EFD_CLOEXEC)); // its owner reads it with waiting
    ASSERT_EQ(it.set(kEvent | kTrigger, kMsix, 0, 1, {waiting.get()}), 0);
    ASSERT_EQ(it.set(kEvent | kMask, kMsix, 0, 1, {waiting.get()}), 0);
    EXPECT_EQ(::fcntl(waiting.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST(VfioUserInterrupts, ACounterThatIsFullDoesNotStopTheDevice) {
    Served it;
    const runtime::UniqueFd event(::eventfd(0, 0));
    const std::uint64_t most = ~std::uint64_t{0} - 1;
    ASSERT_EQ(::write(event.get(), &most, 8), 8);
    ASSERT_EQ(it.set(kTrigger | kEvent, kMsix, 0, 1, {event.get()}), 0);
    it.go(TestDevice::kVector);
    EXPECT_EQ(it.client.read<std::uint16_t>(VFIO_PCI_CONFIG_REGION_INDEX, 0), 0x1234);
}

} // namespace
} // namespace touka::devices::passthrough
