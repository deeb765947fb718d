#include "iommu/interrupt_remapper.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "iommu/test_unit.hpp"
#include "platform/interrupt/io_apic.hpp"

namespace touka::iommu {
namespace {

using spec::apic::DeliveryMode;
using spec::vtd::FaultReason;
using spec::vtd::Offset;
namespace global = spec::vtd::global;

class InterruptRemapperTest : public testing::Test {
protected:
    static constexpr RequesterId kFunction{0x0318};
    /// Present, fixed, vector 41h, physical destination; checked against the function.
    static constexpr std::uint64_t kEntry = 0x41'0001;
    static constexpr std::uint64_t kCheckFunction = 1u << 18 | 0x0318;

    void SetUp() override { enable(0x800); } // x2APIC
    /// @param flags of IRTA, beside 256 entries.
    void enable(std::uint64_t flags) {
        test_.set_wide(Offset::IRTA, TestUnit::kInterruptTable | flags | 7);
        test_.command(global::SIRTP);
        test_.command(global::IRE);
    }
    void set_entry(unsigned index, std::uint64_t low, std::uint64_t high) {
        test_.store(TestUnit::kInterruptTable + 16 * index, low);
        test_.store(TestUnit::kInterruptTable + 16 * index + 8, high);
    }
    static constexpr std::uint64_t address(std::uint32_t index, bool subhandle = false) {
        return 0xFEE0'0010 | (index & 0x7FFF) << 5 | (index >> 15) << 2 | (subhandle ? 8 : 0);
    }
    static constexpr std::uint64_t to(std::uint64_t destination) { return destination << 32; }
    void send(std::uint64_t address_, std::uint32_t data = 0) { msi_.send({address_, data}); }
    /// The one fault of a message that is blocked.
    [[nodiscard]] TestUnit::Recorded fault_of(std::uint64_t address_, std::uint32_t data = 0) {
        send(address_, data);
        EXPECT_TRUE(delivered_.empty());
        EXPECT_TRUE(test_.msi().sent.empty());
        const auto faults = test_.take_faults();
        EXPECT_EQ(faults.size(), 1u);
        return faults.empty() ? TestUnit::Recorded{} : faults.front();
    }

    TestUnit test_;
    std::vector<platform::InterruptMessage>& delivered_ = test_.delivery().delivered;
    RemappedMsi msi_{test_.unit().interrupts(), kFunction};
};

TEST_F(InterruptRemapperTest, MessagesPassWhileItIsOff) {
    test_.set(Offset::GCMD, 0);
    send(0xFEE0'1000, 0x31);
    EXPECT_EQ(test_.msi().sent, (std::vector<platform::MsiMessage>{{0xFEE0'1000, 0x31}}));
}

TEST_F(InterruptRemapperTest, AnEntrySaysWhatIsDelivered) {
    set_entry(5, kEntry | to(0x0001'0203), kCheckFunction);
    send(address(5));
    ASSERT_EQ(delivered_.size(), 1u);
    EXPECT_EQ(delivered_[0].destination, 0x0001'0203u);
    EXPECT_FALSE(delivered_[0].logical);
    EXPECT_FALSE(delivered_[0].level);
    EXPECT_EQ(delivered_[0].mode, DeliveryMode::kFixed);
    EXPECT_EQ(delivered_[0].vector, 0x41);
    set_entry(5, kEntry | to(3) | 0x1C, kCheckFunction); // logical, redirection hint, level
    send(address(5));
    EXPECT_TRUE(delivered_[1].logical);
    EXPECT_TRUE(delivered_[1].level);
    EXPECT_EQ(delivered_[1].mode, DeliveryMode::kLowestPriority);
    set_entry(5, kEntry | 4u << 5, kCheckFunction);
    send(address(5));
    EXPECT_EQ(delivered_[2].mode, DeliveryMode::kNmi);
    EXPECT_TRUE(test_.take_faults().empty());
}

TEST_F(InterruptRemapperTest, WithoutX2ApicDestinationsHave8Bits) {
    enable(0);
    set_entry(5, kEntry | to(0x0200), kCheckFunction);
    send(address(5));
    EXPECT_EQ(delivered_.at(0).destination, 2u);
    set_entry(5, kEntry | to(0xFF00), kCheckFunction);
    send(address(5));
    EXPECT_EQ(delivered_.at(1).destination, spec::apic::kBroadcast32);
    delivered_.clear();
    set_entry(5, kEntry | to(0x0201), kCheckFunction);
    EXPECT_EQ(fault_of(address(5)).reason, FaultReason::kInterruptEntryReserved);
}

TEST_F(InterruptRemapperTest, ASubhandleCountsFromTheHandle) {
    set_entry(7, kEntry, kCheckFunction);
    send(address(5, true), 2);
    EXPECT_EQ(delivered_.size(), 1u);
    send(address(7), 0xFFFF'FFFF); // without one the data says nothing
    EXPECT_EQ(delivered_.size(), 2u);
    delivered_.clear();
    EXPECT_EQ(fault_of(address(5, true), 0x1'0002).reason, FaultReason::kInterruptReserved);
}

TEST_F(InterruptRemapperTest, EveryReasonToBlockIsRecorded) {
    EXPECT_EQ(fault_of(address(256)),
              (TestUnit::Recorded{FaultReason::kInterruptIndex, kFunction.value, std::uint64_t{256} << 48, false,
                                  spec::vtd::AddressType::kUntranslated}));
    EXPECT_EQ(fault_of(address(0xFFFF)).reason, FaultReason::kInterruptIndex);
    EXPECT_EQ(fault_of(address(255, true), 1).reason, FaultReason::kInterruptIndex);
    EXPECT_EQ(fault_of(address(5)).reason, FaultReason::kInterruptNotPresent);
    for (const std::uint64_t low : {kEntry | 1u << 12, kEntry | 1u << 24, kEntry | 1u << 15 /* posted */}) {
        set_entry(5, low, kCheckFunction);
        EXPECT_EQ(fault_of(address(5)).reason, FaultReason::kInterruptEntryReserved);
    }
    for (const std::uint64_t high : {kCheckFunction | 1u << 20, kCheckFunction | 3u << 18}) {
        set_entry(5, kEntry, high);
        EXPECT_EQ(fault_of(address(5)).reason, FaultReason::kInterruptEntryReserved);
    }
    EXPECT_EQ(fault_of(0xFEE0'1000, 0x31).reason, FaultReason::kCompatibilityBlocked);
    test_.set_wide(Offset::IRTA, TestUnit::kRamBytes | 0x807);
    test_.command(global::SIRTP);
    EXPECT_EQ(fault_of(address(5)).reason, FaultReason::kInterruptTableAccess);
}

TEST_F(InterruptRemapperTest, ARequesterCannotRaiseAnothersInterrupt) {
    RemappedMsi other(test_.unit().interrupts(), RequesterId{0x0319});
    set_entry(5, kEntry, kCheckFunction);
    other.send({address(5), 0});
    EXPECT_TRUE(delivered_.empty());
    const auto faults = test_.take_faults();
    ASSERT_EQ(faults.size(), 1u);
    EXPECT_EQ(faults[0].reason, FaultReason::kInterruptSource);
    EXPECT_EQ(faults[0].requester, 0x0319);
    EXPECT_EQ(faults[0].address, std::uint64_t{5} << 48);
}

TEST_F(InterruptRemapperTest, QualifiersLeaveFunctionBitsOutOfTheCheck) {
    const auto passes = [&](std::uint16_t requester, std::uint64_t high) {
        delivered_.clear();
        set_entry(5, kEntry | 2 /* quiet */, high);
        RemappedMsi(test_.unit().interrupts(), RequesterId{requester}).send({address(5), 0});
        return !delivered_.empty();
    };
    constexpr std::uint64_t kQualifier = 1u << 16, kBusRange = 2u << 18;
    EXPECT_TRUE(passes(0x0318 ^ 4, kCheckFunction | 1 * kQualifier));
    EXPECT_FALSE(passes(0x0318 ^ 2, kCheckFunction | 1 * kQualifier));
    EXPECT_TRUE(passes(0x0318 ^ 6, kCheckFunction | 2 * kQualifier));
    EXPECT_FALSE(passes(0x0318 ^ 1, kCheckFunction | 2 * kQualifier));
    EXPECT_TRUE(passes(0x0318 ^ 7, kCheckFunction | 3 * kQualifier));
    EXPECT_FALSE(passes(0x0318 ^ 8, kCheckFunction | 3 * kQualifier));
    EXPECT_TRUE(passes(0x0318, kBusRange | 0x0204));
    EXPECT_FALSE(passes(0x0118, kBusRange | 0x0204));
    EXPECT_FALSE(passes(0x0518, kBusRange | 0x0204));
    EXPECT_TRUE(passes(0xFFFF, 0)) << "without a check";
    EXPECT_TRUE(test_.take_faults().empty());
}

TEST_F(InterruptRemapperTest, CompatibilityFormatPassesOnlyWhereTheGuestLetsIt) {
    test_.command(global::CFI);
    EXPECT_EQ(fault_of(0xFEE0'1000, 0x31).reason, FaultReason::kCompatibilityBlocked) << "x2APIC guests have none";
    enable(0);
    send(0xFEE0'1000, 0x31);
    EXPECT_EQ(test_.msi().sent.size(), 1u);
}

TEST_F(InterruptRemapperTest, AddressesOfNoInterruptAreNotLookedUp) {
    set_entry(5, kEntry, 0);
    send(address(5) | std::uint64_t{1} << 32);
    EXPECT_TRUE(delivered_.empty());
    EXPECT_EQ(test_.msi().sent.size(), 1u) << "who takes messages knows what to do with it";
}

TEST_F(InterruptRemapperTest, AnInvalidationWaitsForInterruptsThatAreOnTheirWay) {
    std::atomic<bool> under_way{false}, may_arrive{false}, invalidated{false};
    test_.delivery().on_the_way = [&] {
        under_way.store(true);
        while (!may_arrive.load()) std::this_thread::yield();
    };
    test_.enable_queue();
    set_entry(5, kEntry, kCheckFunction);
    std::jthread device([&] { send(address(5)); });
    while (!under_way.load()) std::this_thread::yield();
    std::jthread processor([&] {
        test_.submit(4); // interrupt entry cache, global
        invalidated.store(true);
    });
    for (int i = 0; i < 20; ++i) std::this_thread::yield();
    EXPECT_FALSE(invalidated.load());
    may_arrive.store(true);
    processor.join();
    EXPECT_EQ(delivered_.size(), 1u);
}

TEST_F(InterruptRemapperTest, AnIoApicEntryInTheRemappableFormatIsLookedUp) {
    platform::LocalApicBus bus;
    platform::IoApic io_apic(bus);
    RemappedMsi from_io_apic(test_.unit().interrupts(), kIoApicRequester);
    io_apic.send_messages_to(from_io_apic);
    set_entry(0x85, kEntry | to(0x0001'0203), 1u << 18 | kIoApicRequester.value);
    const auto program = [&](unsigned pin, std::uint64_t entry) {
        io_apic.write(0, 4, 0x11 + 2 * pin);
        io_apic.write(0x10, 4, entry >> 32);
        io_apic.write(0, 4, 0x10 + 2 * pin);
        io_apic.write(0x10, 4, entry & 0xFFFF'FFFF);
    };
    program(20, std::uint64_t{0x85} << 49 | std::uint64_t{1} << 48 | 0x8000 | 20); // level; the vector is the pin
    io_apic.set_pin(20, true);
    ASSERT_EQ(delivered_.size(), 1u);
    EXPECT_EQ(delivered_[0].destination, 0x0001'0203u);
    EXPECT_EQ(delivered_[0].vector, 0x41);
    program(21, std::uint64_t{1} << 48 | 1u << 11); // index 8000h
    io_apic.set_pin(21, true);
    EXPECT_EQ(test_.take_faults().at(0).address, std::uint64_t{0x8000} << 48);
}

} // namespace
} // namespace touka::iommu
