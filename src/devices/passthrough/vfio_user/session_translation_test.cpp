// Translations on request, as messages: the server's role.
#include <gtest/gtest.h>

#include <cerrno>
#include <thread>

#include "devices/passthrough/vfio_user/client_translations.hpp"
#include "devices/passthrough/vfio_user/test_client.hpp"
#include "spec/vfio_user/address_translation.hpp"

namespace touka::devices::passthrough {
namespace {

using namespace spec::vfio_user;
using memory::Iova;
using test::TestClient;
using test::TestDevice;
using test::TestServer;

constexpr std::uint64_t kRamBytes = 0x10000, kRam = 0x4000'0000, kIova = 0x1000;

Capabilities asking() {
    Capabilities capabilities = TestClient::wide();
    capabilities.twin_socket = capabilities.address_translation = true;
    return capabilities;
}

std::optional<Capabilities> capabilities_of(const Message& greeting) {
    return read_capabilities(greeting.after(sizeof(Version)));
}

/// A client with a twin socket and RAM.
struct Served {
    Served() {
        auto greeting = client.introduce(asking()).value();
        EXPECT_TRUE(capabilities_of(greeting)->address_translation);
        twin = std::make_unique<TestClient>(std::move(greeting.descriptors.at(0)));
        EXPECT_EQ(client.map(kRam, kRamBytes, {ram.first.get()}), 0);
    }
    void send_go(std::uint64_t address, std::uint32_t what) {
        EXPECT_EQ(client.write<std::uint64_t>(0, TestDevice::kAddress, address), 0);
        EXPECT_EQ(client.write<std::uint32_t>(0, TestDevice::kLength, 1), 0);
        client.send(Command::kRegionWrite, TestClient::region_write(0, TestDevice::kGo, what, 4));
    }
    /// The device fetches a byte there, whose translation is asked for. @return the question.
    Message fetch(std::uint64_t address) {
        send_go(address, TestDevice::kFetch);
        auto question = twin->receive().value();
        EXPECT_EQ(question.command(), Command::kTranslate);
        return question;
    }
    void answer(const Message& question, const std::vector<TranslationEntry>& entries, int error = 0) {
        twin->reply_to(question, std::as_bytes(std::span(entries)), error);
        EXPECT_TRUE(client.receive());
    }
    std::uint64_t faults() { return client.read<std::uint64_t>(0, TestDevice::kFaults).value_or(~std::uint64_t{0}); }
    static std::vector<std::byte> invalidation(std::vector<InvalidationExtent> extents, std::uint32_t flags = 0) {
        std::vector<std::byte> payload;
        append(payload, InvalidateTranslations{flags, static_cast<std::uint32_t>(extents.size())});
        for (const auto& each : extents) append(payload, each);
        return payload;
    }
    int invalidate(std::vector<InvalidationExtent> extents, std::uint32_t flags = 0) {
        return client.tell(Command::kInvalidateTranslations,
                           std::span<const std::byte>(invalidation(std::move(extents), flags)));
    }

    TestServer server;
    TestClient client{server.connect()};
    std::unique_ptr<TestClient> twin;
    std::pair<runtime::UniqueFd, runtime::SharedMapping> ram = runtime::SharedMapping::create("ram", kRamBytes).value();
};

constexpr std::uint32_t kBoth = kTranslatedRead | kTranslatedWrite;

TEST(VfioUserTranslation, IsForThoseWhoAnnounceItAndHaveATwinSocket) {
    TestServer server;
    {
        TestClient plain(server.connect());
        EXPECT_FALSE(capabilities_of(plain.introduce().value())->address_translation);
        EXPECT_EQ(plain.tell(Command::kInvalidateTranslations, InvalidateTranslations{0, 0}), EINVAL);
    }
    server.wait_until_idle();
    TestClient without_twin(server.connect());
    Capabilities capabilities = TestClient::wide();
    capabilities.address_translation = true;
    EXPECT_FALSE(capabilities_of(without_twin.introduce(capabilities).value())->address_translation);
}

TEST(VfioUserTranslation, TheFunctionsAddressesAreAskedForOnce) {
    Served it;
    it.ram.second.bytes()[0x2345] = std::byte{0x5A};
    const auto question = it.fetch(kIova + 0x345);
    const auto request = question.at<TranslationRequest>().value();
    EXPECT_EQ(request.address, kIova);
    EXPECT_EQ(request.length, 0x1000u);
    it.answer(question, {{kIova, kRam + 0x2000, 1, kBoth}});
    EXPECT_EQ(it.client.read<std::uint8_t>(0, TestDevice::kBuffer), 0x5A);
    it.send_go(kIova + 0x345, TestDevice::kStore);
    EXPECT_TRUE(it.client.receive());
    EXPECT_TRUE(it.twin->nothing_comes());
    EXPECT_EQ(it.faults(), 0u);
}

TEST(VfioUserTranslation, WhatIsNotTranslatedIsBlockedAndTold) {
    Served it;
    it.answer(it.fetch(kIova), {});
    const auto told = it.twin->receive().value();
    EXPECT_EQ(told.command(), Command::kDmaRead);
    EXPECT_EQ(told.at<spec::vfio_user::DmaAccess>()->address, kIova);
    EXPECT_EQ(told.at<spec::vfio_user::DmaAccess>()->count, 0u);
    EXPECT_EQ(it.faults(), 1u);
    EXPECT_EQ(it.server.space.faults().last().at(0).address, Iova{kIova});
}

TEST(VfioUserTranslation, AnAnswerThatMakesNoSenseIsNone) {
    Served it;
    const std::vector<std::vector<TranslationEntry>> wrong{
        {{kIova + 1, kRam, 1, kBoth}},
        {{kIova, kRam + 8, 1, kBoth}},
        {{kIova, kRam, 0, kBoth}},
        {{kIova, kRam, 1025, kBoth}},
        {{kIova, std::uint64_t{1} << 48, 1, kBoth}},
        {{~std::uint64_t{0xFFF}, kRam, 1, kBoth}},
        {{kIova, kRam, 1, kBoth}, {0x2000, kRam, 1024, kBoth}},
        {{kIova, 0, 1, kBoth}}, // nothing was granted there
    };
    for (const auto& entries : wrong) {
        it.answer(it.fetch(kIova), entries);
        EXPECT_TRUE(it.twin->receive()); // of the fault
    }
    it.answer(it.fetch(kIova), {{kIova, kRam, 1, kBoth}}, EINVAL);
    EXPECT_EQ(it.faults(), wrong.size() + 1);
    Message cut;
    cut.header.flags = kTypeReply;
    cut.payload.resize(sizeof(TranslationEntry) + 1);
    EXPECT_FALSE(read_translations(cut));
}

TEST(VfioUserTranslation, AClientThatDoesNotAnswerIsNotWaitedForLong) {
    Served it;
    const auto question = it.fetch(kIova);
    EXPECT_TRUE(it.client.receive());                                               // the command is over nevertheless
    it.twin->reply_to(question, bytes_of(TranslationEntry{kIova, kRam, 1, kBoth})); // too late, and for nobody
    EXPECT_EQ(it.twin->receive()->command(), Command::kDmaRead);
    it.answer(it.fetch(kIova), {});
    EXPECT_EQ(it.faults(), 2u);
}

TEST(VfioUserTranslation, AnInvalidationIsAnsweredWhenTheUsesBeforeItAreOver) {
    Served it;
    it.answer(it.fetch(kIova), {{kIova, kRam, 1, kBoth}});
    auto use = it.server.translated.use();
    const auto bytes = it.server.translated.translate(Iova{kIova}, 16, memory::DmaAccess::kWrite);
    ASSERT_TRUE(bytes);
    it.client.send(Command::kInvalidateTranslations, Served::invalidation({{kIova, kIova + 0xFFF}}));
    EXPECT_TRUE(it.client.nothing_comes());
    bytes->front() = std::byte{1};
    use.end();
    EXPECT_EQ(it.client.receive()->command(), Command::kInvalidateTranslations);
    it.answer(it.fetch(kIova), {}); // asked for again
    EXPECT_EQ(it.faults(), 1u);
}

TEST(VfioUserTranslation, AnInvalidationComesThroughWhileTheFunctionAsks) {
    Served it;
    std::optional<std::byte*> found;
    std::thread function([&] { // which has a thread of its own, as NVMe functions have
        const auto use = it.server.translated.use();
        const auto place = it.server.translated.translate(Iova{kIova}, 1, memory::DmaAccess::kRead);
        if (place) found = place->data();
    });
    const auto question = it.twin->receive().value();
    it.client.send(Command::kInvalidateTranslations, Served::invalidation({{0, ~std::uint64_t{0}}}));
    EXPECT_TRUE(it.client.nothing_comes());
    it.twin->reply_to(question, bytes_of(TranslationEntry{kIova, kRam, 1, kBoth}));
    function.join();
    EXPECT_TRUE(found);
    EXPECT_EQ(it.client.receive()->command(), Command::kInvalidateTranslations);
    it.answer(it.fetch(kIova), {}); // what was on its way is not kept
}

TEST(VfioUserTranslation, AddressesAreThoseOfTheGrantsWhereTheClientSaysSo) {
    Served it;
    EXPECT_EQ(it.invalidate({{0, ~std::uint64_t{0}}}, kAddressesAreTranslated), 0);
    it.send_go(kRam + 7, TestDevice::kFetch);
    EXPECT_TRUE(it.client.receive());
    EXPECT_EQ(it.faults(), 0u);
    EXPECT_EQ(it.invalidate({{0, ~std::uint64_t{0}}}), 0);
    it.answer(it.fetch(kRam + 7), {});
    EXPECT_EQ(it.faults(), 1u);
}

TEST(VfioUserTranslation, InvalidationsThatMakeNoSenseAreRefused) {
    Served it;
    EXPECT_EQ(it.invalidate({{1, 0}}), EINVAL);
    EXPECT_EQ(it.invalidate({}, 2), EINVAL);
    EXPECT_EQ(it.invalidate(std::vector<InvalidationExtent>(kInvalidationExtentLimit + 1)), EINVAL);
    EXPECT_EQ(it.client.tell(Command::kInvalidateTranslations, InvalidateTranslations{0, 1}), EINVAL);
    EXPECT_EQ(it.client.tell(Command::kInvalidateTranslations, std::uint32_t{0}), EINVAL);
    EXPECT_EQ(it.client.tell(Command::kTranslate, TranslationRequest{0, 0x1000}), EINVAL);
    EXPECT_EQ(it.invalidate(std::vector<InvalidationExtent>(kInvalidationExtentLimit)), 0);
}

TEST(VfioUserTranslation, TheNextClientFindsNothingOfIt) {
    Served it;
    it.answer(it.fetch(kIova), {{kIova, kRam, 1, kBoth}});
    it.client.hang_up();
    it.server.wait_until_idle();
    TestClient next(it.server.connect());
    ASSERT_TRUE(next.introduce());
    ASSERT_EQ(next.map(kRam, kRamBytes, {it.ram.first.get()}), 0);
    const auto use = it.server.translated.use();
    EXPECT_FALSE(it.server.translated.translate(Iova{kIova}, 1, memory::DmaAccess::kRead));
    EXPECT_TRUE(it.server.translated.translate(Iova{kRam}, 1, memory::DmaAccess::kRead)) << "one that is not asked";
}

} // namespace
} // namespace touka::devices::passthrough
