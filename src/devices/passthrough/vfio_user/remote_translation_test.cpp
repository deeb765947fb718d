// Translations on request: the client's role, and both ends together.
#include <gtest/gtest.h>

#include <cerrno>
#include <mutex>

#include "devices/passthrough/passthrough_function.hpp"
#include "devices/passthrough/vfio_user/test_remote.hpp"
#include "spec/vfio_user/address_translation.hpp"

namespace touka::devices::passthrough {
namespace {

using namespace spec::vfio_user;
using memory::GuestAddress;
using memory::Iova;
using test::FakeServer;
using test::Remote;
using test::TestDevice;
using namespace std::chrono_literals;

constexpr std::uint64_t kIova = 0xFFFF'1000;
constexpr AddressExtent kAll{};

/// Has one translation, or none.
class OnePage final : public TranslationAgent {
public:
    explicit OnePage(std::uint64_t guest) : guest_(guest) {}
    std::vector<AddressTranslation> translate(Iova first, std::uint64_t length_bytes) override {
        const std::scoped_lock lock(mutex_);
        last_question = {first.value, first.value + (length_bytes - 1)};
        if (guest_ == kNone) return {};
        return {{Iova{kIova}, GuestAddress{guest_}, 0x1000, true, false}};
    }
    void set(std::uint64_t guest) {
        const std::scoped_lock lock(mutex_);
        guest_ = guest;
    }
    static constexpr std::uint64_t kNone = 1;
    AddressExtent last_question;

private:
    std::mutex mutex_;
    std::uint64_t guest_;
};

/// Both ends, and an agent.
class RemoteTranslation : public testing::Test {
protected:
    RemoteTranslation() {
        EXPECT_TRUE(remote_.device);
        EXPECT_TRUE(grant_all_memory(*remote_.device, *remote_.ram));
        device_ = remote_.device->translating();
        if (device_ != nullptr) device_->set_agent(&agent_);
        *remote_.at(0x3005) = std::byte{0x33};
        *remote_.at(0x6005) = std::byte{0x66};
    }
    ~RemoteTranslation() override {
        if (device_ != nullptr) device_->set_agent(nullptr);
    }
    std::optional<std::uint8_t> fetch(std::uint64_t address) {
        const std::uint64_t before = faults();
        write(0, address, 8);
        write(TestDevice::kLength, 1, 4);
        write(TestDevice::kGo, TestDevice::kFetch, 4);
        if (faults() != before) return std::nullopt;
        std::uint8_t value = 0;
        EXPECT_TRUE(remote_.device->read(0, TestDevice::kBuffer, std::as_writable_bytes(std::span(&value, 1))));
        return value;
    }
    std::uint64_t faults() {
        std::uint64_t value = 0;
        EXPECT_TRUE(remote_.device->read(0, TestDevice::kFaults, std::as_writable_bytes(std::span(&value, 1))));
        return value;
    }
    void write(std::uint64_t offset, std::uint64_t value, std::size_t width) {
        EXPECT_TRUE(remote_.device->write(0, offset, bytes_of(value).first(width)));
    }

    Remote remote_{3000ms, true};
    OnePage agent_{0x3000};
    TranslatingDevice* device_ = nullptr;
};

TEST_F(RemoteTranslation, TheDeviceReachesWhatItsAgentTranslates) {
    ASSERT_NE(device_, nullptr);
    EXPECT_EQ(fetch(kIova + 5), 0x33);
    EXPECT_EQ(fetch(0x3005), std::nullopt) << "not by the guest's address";
    EXPECT_EQ(fetch(kIova + 5), 0x33);
    EXPECT_EQ(remote_.server.translated.request_count(), 2u);
}

TEST_F(RemoteTranslation, AfterAnInvalidationTheDeviceReachesWhatIsThereNow) {
    ASSERT_NE(device_, nullptr);
    EXPECT_EQ(fetch(kIova + 5), 0x33);
    agent_.set(0x6000);
    EXPECT_EQ(fetch(kIova + 5), 0x33) << "kept until it is told";
    const AddressExtent page{kIova, kIova + 0xFFF};
    device_->invalidate(std::span(&page, 1), false);
    EXPECT_EQ(fetch(kIova + 5), 0x66);
    agent_.set(OnePage::kNone);
    std::vector<AddressExtent> many(1000, {0, 0xFFF}); // of several messages
    many.back() = page;
    device_->invalidate(many, false);
    EXPECT_EQ(fetch(kIova + 5), std::nullopt);
}

TEST_F(RemoteTranslation, WhatTheDeviceWasRefusedIsRecordedWithItsAddress) {
    ASSERT_NE(device_, nullptr);
    agent_.set(OnePage::kNone);
    EXPECT_EQ(fetch(kIova + 5), std::nullopt);
    for (int i = 0; i < 1000 && remote_.device->faults().count() == 0; ++i) std::this_thread::sleep_for(1ms);
    ASSERT_EQ(remote_.device->faults().count(), 1u); // the identity space has nothing there either
    EXPECT_EQ(remote_.device->faults().last()[0].address, Iova{kIova + 5});
}

TEST_F(RemoteTranslation, AServerThatCameBackIsToldWhetherAddressesAreTranslated) {
    ASSERT_NE(device_, nullptr);
    test::Listener listener;
    remote_.device->set_listener(&listener);
    EXPECT_EQ(fetch(kIova + 5), 0x33);
    device_->invalidate(std::span(&kAll, 1), true);
    EXPECT_EQ(fetch(0x6005), 0x66);
    remote_.server.reactor.run_and_wait([&] { remote_.server.server->session()->end(); });
    listener.wait_for(1, 1);
    EXPECT_EQ(fetch(0x6005), 0x66);
    device_->invalidate(std::span(&kAll, 1), false);
    EXPECT_EQ(fetch(kIova + 5), 0x33);
    remote_.device->set_listener(nullptr);
}

TEST_F(RemoteTranslation, AServerThatIsGoneHoldsNoInvalidationUp) {
    ASSERT_NE(device_, nullptr);
    remote_.down = true;
    remote_.server.reactor.run_and_wait([&] { remote_.server.server->session()->end(); });
    device_->invalidate(std::span(&kAll, 1), false);
    EXPECT_TRUE(remote_.server.server != nullptr);
}

TEST(RemoteTranslationOff, IsNothingThatIsOfferedUnasked) {
    Remote remote;
    ASSERT_TRUE(remote.device);
    EXPECT_EQ(remote.device->translating(), nullptr);
}

/// A server that says that it can, and asks what it likes.
class HostileTranslation : public testing::Test {
protected:
    HostileTranslation() {
        Capabilities capabilities;
        capabilities.address_translation = true;
        std::vector<std::byte> greeting;
        append(greeting, Version{0, 1});
        const auto text = write_capabilities(capabilities);
        greeting.insert(greeting.end(), text.begin(), text.end());
        server_.answers[{Command::kVersion, ~0u}] = greeting;
    }
    std::unique_ptr<RemoteDevice> connect(bool address_translation) {
        auto connected = server_.connect(3000ms, address_translation);
        EXPECT_TRUE(connected) << connected.error();
        return connected ? std::move(*connected) : nullptr;
    }
    int ask(std::uint64_t address, std::uint64_t length) {
        return server_.ask(Command::kTranslate, bytes_of(TranslationRequest{address, length}));
    }
    FakeServer server_;
    OnePage agent_{0x3000};
};

TEST_F(HostileTranslation, QuestionsThatMakeNoSenseAreRefused) {
    const auto device = connect(true);
    ASSERT_TRUE(device && device->translating());
    EXPECT_EQ(ask(kIova, 0x1000), EAGAIN) << "there is no agent yet";
    device->translating()->set_agent(&agent_);
    EXPECT_EQ(ask(kIova + 1, 0x1000), EINVAL);
    EXPECT_EQ(ask(kIova, 0), EINVAL);
    EXPECT_EQ(ask(kIova, 0x1001), EINVAL);
    EXPECT_EQ(ask(kIova, (2 << 20) + 0x1000), EINVAL);
    EXPECT_EQ(ask(std::uint64_t{1} << 48, 0x1000), EINVAL);
    EXPECT_EQ(server_.ask(Command::kTranslate, bytes_of(std::uint64_t{0})), EINVAL);
    EXPECT_EQ(server_.ask(Command::kInvalidateTranslations, bytes_of(std::uint64_t{0})), EINVAL);
    ASSERT_EQ(ask(kIova, 0x2000), 0);
    EXPECT_EQ(agent_.last_question.last, kIova + 0x1FFF);
    const auto answer = server_.answer_to_last();
    ASSERT_EQ(answer.size(), sizeof(TranslationEntry));
    TranslationEntry entry;
    std::memcpy(&entry, answer.data(), sizeof entry);
    EXPECT_EQ(entry.address, kIova);
    EXPECT_EQ(entry.translated, 0x3000u);
    EXPECT_EQ(entry.pages, 1u);
    EXPECT_EQ(entry.permissions, kTranslatedRead);
    device->translating()->set_agent(nullptr);
}

TEST_F(HostileTranslation, OneThatWasNotAskedToTranslateGetsNothing) {
    const auto device = connect(false);
    ASSERT_TRUE(device);
    EXPECT_EQ(device->translating(), nullptr);
    EXPECT_EQ(ask(kIova, 0x1000), EINVAL);
}

TEST_F(HostileTranslation, ItsOwnAccessesGoThroughWhatStandsBetween) {
    const auto device = connect(true);
    ASSERT_TRUE(device);
    const spec::vfio_user::DmaAccess inside{0x100, 4}, outside{std::uint64_t{1} << 40, 4};
    EXPECT_EQ(server_.ask(Command::kDmaRead, bytes_of(inside)), 0) << "which decides, whatever was granted";
    EXPECT_EQ(server_.ask(Command::kDmaRead, bytes_of(outside)), EFAULT);
    EXPECT_EQ(device->faults().count(), 1u);
}

} // namespace
} // namespace touka::devices::passthrough
