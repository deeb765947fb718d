#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <string>
#include <thread>

#include "devices/virtio/test_driver.hpp"
#include "machine/cards.hpp"
#include "machine/machine_events.hpp"
#include "spec/pci/config_header.hpp"
#include "spec/pci/express.hpp"

namespace touka::machine {
namespace {

using namespace spec::pci;

/// A machine of three slots with a card in the first, whose control thread is the test's.
class HotPlugTest : public testing::Test {
protected:
    static constexpr platform::PciAddress kPort{0, 0x11, 0}, kCard{2, 0, 0};

    HotPlugTest() {
        for (std::string* path : {&path_, &other_path_}) {
            const int fd = ::mkstemp(path->data());
            EXPECT_EQ(::ftruncate(fd, 1 << 20), 0);
            ::close(fd);
        }
        MachineConfig config;
        config.cards.emplace_back(nvme(path_));
        config.free_slots = 2;
        cards_ = Cards::create(config, {*host_.ram, device_memory_, host_.root, paths_, host_.reactor,
                                        [this](std::function<void()> work) { events_.post(std::move(work)); },
                                        [this] { quiet_ += is_open(other_path_) ? 1 : 0; }})
                     .value();
    }
    ~HotPlugTest() override {
        cards_.reset();
        ::unlink(path_.c_str());
        ::unlink(other_path_.c_str());
    }

    [[nodiscard]] static NvmeDevice nvme(const std::string& path, std::uint32_t virtual_functions = 0) {
        return {.disk = {.path = path, .serial = {}}, .virtual_functions = virtual_functions};
    }
    void run_one() {
        ASSERT_EQ(events_.take(), MachineEvent::kWork);
        events_.take_work()();
    }
    [[nodiscard]] std::uint32_t class_at(const platform::PciAddress& address) {
        return host_.root.read_config(address, offset::kRevisionId, 4) >> 8;
    }
    [[nodiscard]] std::uint32_t slot_control() {
        std::uint32_t at = host_.root.read_config(kPort, offset::kCapabilitiesPointer, 1);
        while (host_.root.read_config(kPort, at, 1) != std::to_underlying(CapabilityId::kPciExpress)) {
            at = host_.root.read_config(kPort, at + 1, 1);
        }
        return at + kSlotControlOffset;
    }
    void switch_power(bool on) {
        host_.root.write_config(kPort, slot_control(), 2,
                                SlotControl{}.set(slot_control::POWER_CONTROLLER_CONTROL, !on).raw);
    }
    [[nodiscard]] bool is_open(const std::string& path) const {
        std::array<char, 256> target{};
        for (int fd = 0; fd < 1024; ++fd) {
            const std::string link = "/proc/self/fd/" + std::to_string(fd);
            const ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
            if (length > 0 && std::string(target.data(), static_cast<std::size_t>(length)) == path) return true;
        }
        return false;
    }

    std::string path_ = "/var/tmp/touka-cards-XXXXXX", other_path_ = "/var/tmp/touka-cards-XXXXXX";
    devices::virtio::test::TestMachine host_;
    memory::DeviceMemoryMap device_memory_{host_.ram->ranges()};
    FunctionPaths paths_{*host_.ram, host_.messages, nullptr};
    MachineEvents events_;
    std::atomic<int> quiet_{0};
    std::unique_ptr<Cards> cards_;
};

TEST_F(HotPlugTest, FreeSlotsAreRealPortsWithNobodyBehindThem) {
    const auto report = cards_->report();
    ASSERT_EQ(report.size(), 3u);
    EXPECT_EQ(report[0].state, SlotReport::State::kOccupied);
    EXPECT_EQ(report[1].state, SlotReport::State::kEmpty);
    EXPECT_EQ(class_at(kPort), class_code::kPciBridge);
    EXPECT_EQ(class_at(kCard), 0xFF'FFFFu);
}

TEST_F(HotPlugTest, ACardGoesIntoTheFirstFreeSlotOrTheOneThatIsNamed) {
    NvmeDevice shared = nvme(other_path_);
    shared.disk.read_only = true;
    EXPECT_EQ(cards_->plug({shared, std::nullopt}), 2);
    EXPECT_EQ(class_at(kCard), class_code::kNvmExpress);
    EXPECT_EQ(cards_->devices().size(), 3u + 2u + 2u);
    EXPECT_FALSE(cards_->plug({shared, std::uint16_t{2}}).has_value());
    EXPECT_FALSE(cards_->plug({shared, std::uint16_t{4}}).has_value());
    EXPECT_EQ(cards_->plug({shared, std::uint16_t{3}}), 3);
    EXPECT_EQ(cards_->plug({shared, std::nullopt}).error(), "no slot is free");
}

TEST_F(HotPlugTest, ACardThatCannotBeMadeLeavesItsSlotFree) {
    EXPECT_FALSE(cards_->plug({nvme("/nowhere/disk.raw"), std::uint16_t{2}}).has_value());
    EXPECT_FALSE(cards_->plug({EmptySlot{}, std::uint16_t{2}}).has_value());
    EXPECT_TRUE(cards_->plug({nvme(other_path_), std::uint16_t{2}}).has_value());
}

TEST_F(HotPlugTest, APulledCardFreesItsFileAndItsSlot) {
    ASSERT_TRUE(cards_->plug({nvme(other_path_, 2), std::uint16_t{2}}).has_value());
    ASSERT_TRUE(cards_->pull(2).has_value());
    EXPECT_EQ(class_at(kCard), 0xFF'FFFFu);
    EXPECT_FALSE(cards_->pull(2).has_value());
    run_one();
    EXPECT_EQ(quiet_, 1); // processors have been asked to leave its registers while it was there
    EXPECT_FALSE(is_open(other_path_));
    EXPECT_EQ(cards_->report()[1].state, SlotReport::State::kEmpty);
    EXPECT_EQ(cards_->devices().size(), 3u + 2u);
    EXPECT_TRUE(cards_->plug({nvme(other_path_), std::uint16_t{2}}).has_value());
}

TEST_F(HotPlugTest, ThatACardIsGoneIsShownWhenItsWorkIsOver) {
    ASSERT_TRUE(cards_->plug({nvme(other_path_), std::uint16_t{2}}).has_value());
    const auto present = [this] {
        const SlotStatus status{static_cast<std::uint16_t>(host_.root.read_config(kPort, slot_control() + 2, 2))};
        return status.get(slot_status::PRESENCE_DETECT_STATE);
    };
    std::promise<void> go_on;
    host_.reactor.post([&] { go_on.get_future().wait(); }); // the host is slow
    ASSERT_TRUE(cards_->pull(2).has_value());
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_TRUE(present());
    EXPECT_EQ(class_at(kCard), 0xFF'FFFFu);
    go_on.set_value();
    run_one();
    EXPECT_FALSE(present());
}

TEST_F(HotPlugTest, ASlotIsNotFreeBeforeItsLastCardHasEnded) {
    ASSERT_TRUE(cards_->plug({nvme(other_path_), std::uint16_t{2}}).has_value());
    ASSERT_TRUE(cards_->pull(2).has_value());
    EXPECT_EQ(cards_->report()[1].state, SlotReport::State::kLeaving);
    EXPECT_FALSE(cards_->plug({nvme(other_path_), std::uint16_t{2}}).has_value());
    run_one();
    EXPECT_TRUE(cards_->plug({nvme(other_path_), std::uint16_t{2}}).has_value());
}

TEST_F(HotPlugTest, AMachineMayEndWhileACardLeaves) {
    ASSERT_TRUE(cards_->pull(1).has_value());
    cards_.reset();
    EXPECT_FALSE(is_open(path_));
}

TEST_F(HotPlugTest, AnEjectedCardIsTakenOutWhenSoftwareSwitchesItsPowerOff) {
    ASSERT_TRUE(cards_->plug({nvme(other_path_), std::uint16_t{2}}).has_value());
    ASSERT_TRUE(cards_->eject(2).has_value());
    EXPECT_TRUE(cards_->report()[1].removal_asked);
    EXPECT_EQ(class_at(kCard), class_code::kNvmExpress);
    switch_power(false);
    run_one(); // the power
    run_one(); // the end of the card
    EXPECT_EQ(cards_->report()[1].state, SlotReport::State::kEmpty);
    EXPECT_FALSE(is_open(other_path_));
}

TEST_F(HotPlugTest, ACardThatSoftwareSwitchesOffUnaskedStaysInItsSlot) {
    ASSERT_TRUE(cards_->plug({nvme(other_path_), std::uint16_t{2}}).has_value());
    switch_power(false);
    run_one();
    EXPECT_EQ(cards_->report()[1].state, SlotReport::State::kOccupied);
    switch_power(true);
    EXPECT_EQ(class_at(kCard), class_code::kNvmExpress);
    switch_power(false);
    run_one();
    ASSERT_TRUE(cards_->eject(2).has_value()); // has no power: nobody is to be asked
    run_one();
    EXPECT_EQ(cards_->report()[1].state, SlotReport::State::kEmpty);
}

TEST_F(HotPlugTest, SoftwareThatSwitchesPowerInALoopQueuesNothing) {
    ASSERT_TRUE(cards_->plug({nvme(other_path_), std::uint16_t{2}}).has_value());
    ASSERT_TRUE(cards_->eject(2).has_value());
    for (int i = 0; i < 100; ++i) {
        switch_power(false);
        switch_power(true);
    }
    run_one();
    EXPECT_EQ(cards_->report()[1].state, SlotReport::State::kOccupied); // it has power now
    switch_power(false);
    run_one();
    run_one();
    EXPECT_EQ(cards_->report()[1].state, SlotReport::State::kEmpty);
}

TEST_F(HotPlugTest, AGuestMayDoAnythingWithTheSlotWhileCardsComeAndGo) {
    std::atomic<bool> stop = false;
    const std::uint32_t control = slot_control();
    std::thread guest([&] {
        for (std::uint32_t i = 1; !stop; ++i) {
            host_.root.write_config(kPort, control, 4, i * 0x9E37'79B9u);
            host_.root.write_config(kPort, offset::kCommand, 2, 7);
            host_.root.write_config(kPort, 0x19, 1, i % 8 == 0 ? i % 5 : 2); // secondary bus number
            host_.root.write_config(kCard, offset::kCommand, 2, i % 8);
            (void)host_.root.read_config(kCard, offset::kBar0, 4);
        }
    });
    for (int i = 0; i < 40; ++i) {
        while (!cards_->plug({nvme(other_path_, 1), std::uint16_t{2}})) run_one();
        ASSERT_TRUE((i % 2 == 0 ? cards_->pull(2) : cards_->eject(2)).has_value());
        while (cards_->report()[1].state != SlotReport::State::kEmpty) run_one();
    }
    stop = true;
    guest.join();
}

TEST_F(HotPlugTest, TheConfigurationTellsWhatIsInWhichSlot) {
    ASSERT_TRUE(cards_->plug({nvme(other_path_), std::uint16_t{3}}).has_value());
    ASSERT_TRUE(cards_->pull(1).has_value());
    MachineConfig next;
    next.cards = cards_->configuration();
    next.free_slots = 0;
    ASSERT_EQ(next.cards.size(), 3u);
    EXPECT_TRUE(std::holds_alternative<EmptySlot>(next.cards[0]));
    EXPECT_EQ(std::get<NvmeDevice>(next.cards[2]).disk.path, other_path_);
    cards_.reset();
    cards_ = Cards::create(next, {*host_.ram, device_memory_, host_.root, paths_, host_.reactor}).value();
    EXPECT_EQ(class_at({1, 0, 0}), 0xFF'FFFFu);
    EXPECT_EQ(class_at({3, 0, 0}), class_code::kNvmExpress);
}

} // namespace
} // namespace touka::machine
