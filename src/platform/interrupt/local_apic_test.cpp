#include "platform/interrupt/local_apic.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "platform/interrupt/recording_processor.hpp"
#include "runtime/manual_timers.hpp"
#include "spec/x86/msr.hpp"

namespace touka::platform {
namespace {

using spec::apic::DeliveryMode;
using Register = spec::apic::LocalApicRegister;
namespace msr = spec::x86::msr;

constexpr std::uint32_t kSoftwareEnable = 0x1FF;
constexpr std::uint32_t kMasked = 0x1'0000, kPeriodic = 0x2'0000, kTscDeadline = 0x4'0000;

class LocalApicTest : public testing::Test {
protected:
    LocalApicTest() { connect(apic); }
    void connect(LocalApic& it) {
        it.connect(processor, [this] { return processor.tsc; });
        write(it, Register::SVR, kSoftwareEnable);
    }
    static void write(LocalApic& it, Register name, std::uint32_t value) {
        it.write_page(static_cast<std::uint32_t>(name), value);
    }
    void write(Register name, std::uint32_t value) { write(apic, name, value); }
    std::uint32_t read(Register name) { return apic.read_page(static_cast<std::uint32_t>(name)); }
    bool bit(Register bank, unsigned vector) {
        return apic.read_page(static_cast<std::uint32_t>(bank) + vector / 32 * 16) >> (vector % 32) & 1;
    }
    static std::uint32_t x2apic(Register name) { return 0x800 + static_cast<std::uint32_t>(name) / 16; }
    void enter_x2apic() { ASSERT_TRUE(apic.write_msr(msr::kApicBase, *apic.read_msr(msr::kApicBase) | 0x400)); }
    void fixed(std::uint8_t vector, bool level = false) { apic.accept(DeliveryMode::kFixed, vector, level); }

    runtime::ManualTimers timers;
    LocalApicBus bus;
    RecordingProcessor processor;
    LocalApic apic{{.apic_id = 0, .bootstrap = true, .tsc_frequency_hz = 2'000'000'000}, bus, timers};
};

TEST_F(LocalApicTest, ResetValuesAreThoseOfTable11_1) {
    apic.reset();
    EXPECT_EQ(read(Register::VERSION), 0x0005'0014u);
    EXPECT_EQ(read(Register::SVR), 0xFFu);
    EXPECT_EQ(read(Register::DFR), 0xFFFF'FFFFu);
    EXPECT_EQ(read(Register::LDR), 0u);
    EXPECT_EQ(read(Register::LVT_TIMER), kMasked);
    EXPECT_EQ(read(Register::LVT_LINT1), kMasked);
    EXPECT_EQ(read(Register::LVT_LINT0), 0x700u) << "the virtual wire that firmware would have set up";
    EXPECT_EQ(apic.read_msr(msr::kApicBase), 0xFEE0'0900u);
    EXPECT_EQ(apic.page(), spec::GuestAddress{0xFEE0'0000});
}

TEST_F(LocalApicTest, AcknowledgeMovesTheHighestVectorFromRequestToService) {
    fixed(0x41);
    fixed(0x92);
    EXPECT_TRUE(apic.has_interrupt());
    EXPECT_EQ(apic.acknowledge(), 0x92);
    EXPECT_TRUE(bit(Register::ISR, 0x92));
    EXPECT_FALSE(bit(Register::IRR, 0x92));
    EXPECT_TRUE(bit(Register::IRR, 0x41));
    EXPECT_EQ(read(Register::PPR), 0x90u);
}

TEST_F(LocalApicTest, AVectorOfTheSameOrALowerClassWaitsForTheEoi) {
    fixed(0x51);
    ASSERT_EQ(apic.acknowledge(), 0x51);
    fixed(0x5F);
    fixed(0x31);
    EXPECT_FALSE(apic.has_interrupt());
    EXPECT_EQ(apic.acknowledge(), std::nullopt);
    fixed(0x60);
    EXPECT_EQ(apic.acknowledge(), 0x60);
    write(Register::EOI, 0);
    EXPECT_FALSE(apic.has_interrupt());
    write(Register::EOI, 0);
    EXPECT_EQ(apic.acknowledge(), 0x5F);
}

TEST_F(LocalApicTest, LoweringThePriorityTellsTheProcessorOfWhatWaited) {
    apic.set_task_priority_class(8);
    EXPECT_EQ(read(Register::TPR), 0x80u);
    fixed(0x45);
    EXPECT_FALSE(apic.has_interrupt());
    const unsigned before = processor.pending;
    apic.set_task_priority_class(3);
    EXPECT_GT(processor.pending, before);
    EXPECT_TRUE(apic.has_interrupt());
    EXPECT_EQ(apic.task_priority_class(), 3);
}

TEST_F(LocalApicTest, EoiTellsTheProcessorOfWhatWaited) {
    fixed(0x80);
    ASSERT_EQ(apic.acknowledge(), 0x80);
    fixed(0x40);
    const unsigned before = processor.pending;
    write(Register::EOI, 0);
    EXPECT_GT(processor.pending, before);
}

TEST_F(LocalApicTest, ARequestThatIsThereAlreadyDoesNotDisturbTheProcessor) {
    fixed(0x40);
    const unsigned before = processor.pending;
    fixed(0x40);
    EXPECT_EQ(processor.pending, before);
    EXPECT_EQ(apic.acknowledge(), 0x40);
    EXPECT_FALSE(apic.has_interrupt());
}

TEST_F(LocalApicTest, SoftwareDisabledItTakesNoVectorsButNmiInitAndStartUp) {
    write(Register::SVR, 0xFF);
    EXPECT_FALSE(apic.accept(DeliveryMode::kFixed, 0x40, false));
    EXPECT_TRUE(apic.accept(DeliveryMode::kNmi, 0, false));
    EXPECT_TRUE(apic.accept(DeliveryMode::kInit, 0, false));
    EXPECT_TRUE(apic.accept(DeliveryMode::kStartUp, 0x9A, false));
    EXPECT_EQ(processor.nmis, 1u);
    EXPECT_EQ(processor.inits, 1u);
    EXPECT_EQ(processor.startups, std::vector<std::uint8_t>{0x9A});
}

TEST_F(LocalApicTest, DisablingSetsAllMasksAndKeepsThemSet) {
    write(Register::LVT_ERROR, 0x33);
    write(Register::SVR, 0xFF);
    EXPECT_EQ(read(Register::LVT_ERROR), kMasked | 0x33);
    write(Register::LVT_ERROR, 0x34);
    EXPECT_EQ(read(Register::LVT_ERROR), kMasked | 0x34);
}

TEST_F(LocalApicTest, TmrFollowsTheTriggerModeAndOnlyLevelEoisAreBroadcast) {
    struct Sink final : EndOfInterruptSink {
        void end_of_interrupt(std::uint8_t vector) override { vectors.push_back(vector); }
        std::vector<std::uint8_t> vectors;
    } sink;
    bus.connect(sink);
    fixed(0x50, true);
    EXPECT_TRUE(bit(Register::TMR, 0x50));
    ASSERT_EQ(apic.acknowledge(), 0x50);
    write(Register::EOI, 0);
    fixed(0x50, false);
    EXPECT_FALSE(bit(Register::TMR, 0x50));
    ASSERT_EQ(apic.acknowledge(), 0x50);
    write(Register::EOI, 0);
    EXPECT_EQ(sink.vectors, std::vector<std::uint8_t>{0x50});
}

TEST_F(LocalApicTest, ErrorsShowAfterEsrIsWrittenAndRaiseTheErrorVector) {
    write(Register::LVT_ERROR, 0xFE);
    EXPECT_FALSE(apic.accept(DeliveryMode::kFixed, 0x0F, false));
    EXPECT_EQ(read(Register::ESR), 0u);
    write(Register::ESR, 0);
    EXPECT_EQ(read(Register::ESR), 0x40u);
    EXPECT_EQ(apic.acknowledge(), 0xFE);
    write(Register::ICR_LOW, 0x0'0005);   // vector 5
    EXPECT_EQ(apic.read_page(0x040), 0u); // a reserved register
    write(Register::ESR, 0);
    EXPECT_EQ(read(Register::ESR), 0xA0u);
    write(Register::ESR, 0);
    EXPECT_EQ(read(Register::ESR), 0u);
}

TEST_F(LocalApicTest, AnIllegalErrorVectorDoesNotRecurse) {
    write(Register::LVT_ERROR, 0x03);
    EXPECT_FALSE(apic.accept(DeliveryMode::kFixed, 0x01, false));
    EXPECT_FALSE(apic.has_interrupt());
}

TEST_F(LocalApicTest, ExtIntPassesThroughLint0AheadOfVectors) {
    struct Source final : ExternalInterruptSource {
        explicit Source(LocalApicBus& b) : bus(b) {}
        std::uint8_t acknowledge() override {
            bus.lint0().set(false);
            return 0x08;
        }
        LocalApicBus& bus;
    } source(bus);
    bus.connect(source);
    write(Register::LVT_LINT0, 0x700);
    fixed(0x40);
    bus.lint0().set(true);
    EXPECT_EQ(apic.acknowledge(), 0x08);
    EXPECT_EQ(apic.acknowledge(), 0x40);
    EXPECT_FALSE(apic.has_interrupt());
    bus.lint0().set(true);
    EXPECT_TRUE(apic.has_interrupt());
    write(Register::LVT_LINT0, kMasked | 0x700);
    EXPECT_FALSE(apic.has_interrupt());
    write(Register::LVT_LINT0, 0x700);
    EXPECT_TRUE(apic.has_interrupt());
}

TEST_F(LocalApicTest, ADisabledApicLeavesLint0AsThePinOfTheBootstrapProcessor) {
    ASSERT_TRUE(apic.write_msr(msr::kApicBase, 0xFEE0'0000));
    EXPECT_EQ(apic.page(), std::nullopt);
    bus.lint0().set(true);
    EXPECT_TRUE(apic.has_interrupt());
    EXPECT_FALSE(apic.enabled());
}

TEST_F(LocalApicTest, AFixedLint0DeliversItsVectorAtEachRise) {
    write(Register::LVT_LINT0, 0x0042);
    bus.lint0().set(true);
    EXPECT_EQ(apic.acknowledge(), 0x42);
    write(Register::EOI, 0);
    bus.lint0().set(true);
    EXPECT_FALSE(apic.has_interrupt());
    bus.lint0().pulse();
    bus.lint0().pulse();
    EXPECT_TRUE(apic.has_interrupt());
}

// Timer (SDM vol. 3 §11.5.4)

TEST_F(LocalApicTest, AOneShotCountsDownDividedAndInterruptsOnce) {
    write(Register::LVT_TIMER, 0x60);
    write(Register::DIVIDE_CONFIGURATION, 0b0011); // by 16
    write(Register::INITIAL_COUNT, 1000);
    timers.advance(8'000);
    EXPECT_EQ(read(Register::CURRENT_COUNT), 500u);
    timers.advance(7'999);
    EXPECT_EQ(read(Register::CURRENT_COUNT), 1u);
    EXPECT_FALSE(apic.has_interrupt());
    timers.advance(1);
    EXPECT_EQ(apic.acknowledge(), 0x60);
    write(Register::EOI, 0);
    EXPECT_EQ(read(Register::CURRENT_COUNT), 0u);
    timers.advance(1'000'000);
    EXPECT_FALSE(apic.has_interrupt());
}

TEST_F(LocalApicTest, APeriodicTimerComesAgainInItsOwnRhythm) {
    write(Register::LVT_TIMER, kPeriodic | 0x60);
    write(Register::DIVIDE_CONFIGURATION, 0b1011); // by 1
    write(Register::INITIAL_COUNT, 100'000);
    unsigned interrupts = 0;
    for (int i = 0; i < 10; ++i) {
        timers.advance(100'000);
        if (apic.acknowledge()) ++interrupts;
        write(Register::EOI, 0);
    }
    EXPECT_EQ(interrupts, 10u);
    write(Register::INITIAL_COUNT, 0);
    timers.advance(1'000'000);
    EXPECT_FALSE(apic.has_interrupt());
}

TEST_F(LocalApicTest, AnAbsurdlyShortPeriodDoesNotStallTheHost) {
    write(Register::LVT_TIMER, kPeriodic | 0x60);
    write(Register::DIVIDE_CONFIGURATION, 0b1011);
    write(Register::INITIAL_COUNT, 1);
    timers.advance(1'000'000'000); // would not return for 10^9 expiries
    EXPECT_TRUE(apic.has_interrupt());
}

TEST_F(LocalApicTest, AMaskedTimerCountsWithoutInterrupting) {
    write(Register::LVT_TIMER, kMasked | 0x60);
    write(Register::INITIAL_COUNT, 100);
    timers.advance(100);
    EXPECT_EQ(read(Register::CURRENT_COUNT), 50u);
    timers.advance(100);
    EXPECT_FALSE(apic.has_interrupt());
}

TEST_F(LocalApicTest, ChangingTheDivisorKeepsTheRemainingCounts) {
    write(Register::LVT_TIMER, 0x60);
    write(Register::DIVIDE_CONFIGURATION, 0b1011);
    write(Register::INITIAL_COUNT, 1000);
    timers.advance(400);
    write(Register::DIVIDE_CONFIGURATION, 0b0001); // by 4
    EXPECT_EQ(read(Register::CURRENT_COUNT), 600u);
    timers.advance(2'399);
    EXPECT_FALSE(apic.has_interrupt());
    timers.advance(1);
    EXPECT_TRUE(apic.has_interrupt());
}

TEST_F(LocalApicTest, ATscDeadlineInterruptsAtItsTimeAndReadsZeroAfterwards) {
    write(Register::LVT_TIMER, kTscDeadline | 0x61);
    processor.tsc = 10'000;
    ASSERT_TRUE(apic.write_msr(msr::kTscDeadline, 14'000)); // 4000 ticks of 2 GHz
    EXPECT_EQ(apic.read_msr(msr::kTscDeadline), 14'000u);
    timers.advance(1'999);
    EXPECT_FALSE(apic.has_interrupt());
    timers.advance(1);
    EXPECT_EQ(apic.acknowledge(), 0x61);
    EXPECT_EQ(apic.read_msr(msr::kTscDeadline), 0u);
}

TEST_F(LocalApicTest, ATscDeadlineInThePastInterruptsAtOnceAndZeroDisarms) {
    write(Register::LVT_TIMER, kTscDeadline | 0x61);
    processor.tsc = 10'000;
    ASSERT_TRUE(apic.write_msr(msr::kTscDeadline, 9'999));
    EXPECT_EQ(apic.acknowledge(), 0x61);
    write(Register::EOI, 0);
    ASSERT_TRUE(apic.write_msr(msr::kTscDeadline, 20'000));
    ASSERT_TRUE(apic.write_msr(msr::kTscDeadline, 0));
    timers.advance(1'000'000);
    EXPECT_FALSE(apic.has_interrupt());
}

TEST_F(LocalApicTest, ATscDeadlineBeyondAllTimeIsKeptWithoutOverflow) {
    write(Register::LVT_TIMER, kTscDeadline | 0x61);
    timers.advance(5);
    ASSERT_TRUE(apic.write_msr(msr::kTscDeadline, ~std::uint64_t{0}));
    EXPECT_FALSE(apic.has_interrupt());
    EXPECT_EQ(apic.read_msr(msr::kTscDeadline), ~std::uint64_t{0});
}

TEST_F(LocalApicTest, DeadlinesAreIgnoredOutsideOfTheirModeAndDroppedOnLeavingIt) {
    write(Register::LVT_TIMER, 0x61);
    ASSERT_TRUE(apic.write_msr(msr::kTscDeadline, 100));
    EXPECT_EQ(apic.read_msr(msr::kTscDeadline), 0u);
    write(Register::LVT_TIMER, kTscDeadline | 0x61);
    ASSERT_TRUE(apic.write_msr(msr::kTscDeadline, 100));
    write(Register::INITIAL_COUNT, 50); // ignored
    write(Register::LVT_TIMER, 0x61);
    timers.advance(1'000);
    EXPECT_FALSE(apic.has_interrupt());
}

// x2APIC (SDM vol. 3 §11.12)

TEST_F(LocalApicTest, ModesChangeOnlyAlongTheArrowsOfFigure11_27) {
    const std::uint64_t xapic = 0xFEE0'0900, x2 = 0xFEE0'0D00, off = 0xFEE0'0100;
    EXPECT_FALSE(apic.write_msr(msr::kApicBase, 0xFEE0'0500)) << "EXTD without EN";
    EXPECT_FALSE(apic.write_msr(msr::kApicBase, xapic | 1)) << "a reserved bit";
    EXPECT_TRUE(apic.write_msr(msr::kApicBase, x2));
    EXPECT_FALSE(apic.write_msr(msr::kApicBase, xapic)) << "x2APIC to xAPIC";
    EXPECT_TRUE(apic.write_msr(msr::kApicBase, off));
    EXPECT_FALSE(apic.write_msr(msr::kApicBase, x2)) << "disabled to x2APIC";
    EXPECT_TRUE(apic.write_msr(msr::kApicBase, xapic));
    EXPECT_EQ(read(Register::SVR), 0xFFu) << "disabling loses all state";
}

TEST_F(LocalApicTest, X2apicRegistersAreMsrsAndThePageIsGone) {
    EXPECT_EQ(apic.read_msr(x2apic(Register::ID)), std::nullopt) << "not in xAPIC mode";
    enter_x2apic();
    EXPECT_EQ(apic.page(), std::nullopt);
    EXPECT_EQ(apic.read_msr(x2apic(Register::ID)), 0u);
    EXPECT_EQ(apic.read_msr(x2apic(Register::VERSION)), 0x0005'0014u);
    EXPECT_EQ(apic.read_msr(x2apic(Register::LDR)), 1u);
    EXPECT_TRUE(apic.write_msr(x2apic(Register::TPR), 0x20));
    EXPECT_EQ(apic.task_priority_class(), 2);
}

TEST_F(LocalApicTest, X2apicFaultsOnReservedBitsAndOnWhatIsNotThere) {
    enter_x2apic();
    EXPECT_FALSE(apic.write_msr(x2apic(Register::TPR), 0x100));
    EXPECT_FALSE(apic.write_msr(x2apic(Register::EOI), 1));
    EXPECT_FALSE(apic.write_msr(x2apic(Register::ESR), 1));
    EXPECT_FALSE(apic.write_msr(x2apic(Register::SVR), 0x1'0000'00FF));
    EXPECT_FALSE(apic.write_msr(x2apic(Register::LDR), 0)) << "read only";
    EXPECT_FALSE(apic.write_msr(x2apic(Register::DFR), 0)) << "not there";
    EXPECT_FALSE(apic.write_msr(x2apic(Register::ICR_HIGH), 0));
    EXPECT_FALSE(apic.write_msr(x2apic(Register::ICR_LOW), 0x2000));
    EXPECT_FALSE(apic.write_msr(x2apic(Register::ID), 0));
    EXPECT_EQ(apic.read_msr(x2apic(Register::DFR)), std::nullopt);
    EXPECT_EQ(apic.read_msr(x2apic(Register::EOI)), std::nullopt);
    EXPECT_EQ(apic.read_msr(x2apic(Register::SELF_IPI)), std::nullopt);
    EXPECT_EQ(apic.read_msr(0x8FF), std::nullopt);
    EXPECT_TRUE(apic.write_msr(x2apic(Register::EOI), 0));
    EXPECT_TRUE(apic.write_msr(x2apic(Register::ESR), 0));
}

TEST_F(LocalApicTest, SelfIpiRequestsItsVector) {
    enter_x2apic();
    EXPECT_TRUE(apic.write_msr(x2apic(Register::SELF_IPI), 0x77));
    EXPECT_EQ(apic.acknowledge(), 0x77);
}

TEST_F(LocalApicTest, EveryMsrOfTheRangeAndEveryOffsetOfThePageIsHarmless) {
    for (std::uint32_t offset = 0; offset < 0x1000; offset += 4) {
        static_cast<void>(apic.read_page(offset));
        apic.write_page(offset, ~0u);
    }
    enter_x2apic();
    for (std::uint32_t index = msr::kX2apicFirst; index <= msr::kX2apicLast; ++index) {
        static_cast<void>(apic.read_msr(index));
        static_cast<void>(apic.write_msr(index, 0));
        static_cast<void>(apic.write_msr(index, ~std::uint64_t{0}));
    }
}

TEST_F(LocalApicTest, InitClearsRegistersButKeepsModeAndIdentity) {
    enter_x2apic();
    fixed(0x40);
    apic.reset_by_init();
    EXPECT_FALSE(apic.has_interrupt());
    EXPECT_EQ(apic.read_msr(x2apic(Register::SVR)), 0xFFu);
    EXPECT_EQ(apic.read_msr(x2apic(Register::LVT_LINT0)), kMasked);
    EXPECT_EQ(apic.read_msr(x2apic(Register::LDR)), 1u);
    EXPECT_EQ(*apic.read_msr(msr::kApicBase) & 0xC00, 0xC00u);
}

// Saved state

TEST_F(LocalApicTest, SavedStateComesBackWithRequestsServiceAndARunningTimer) {
    write(Register::LVT_TIMER, kPeriodic | 0x60);
    write(Register::DIVIDE_CONFIGURATION, 0b1011);
    write(Register::INITIAL_COUNT, 100'000);
    write(Register::LDR, 0x0100'0000);
    fixed(0x91);
    ASSERT_EQ(apic.acknowledge(), 0x91);
    fixed(0x42);
    timers.advance(40'000);
    const auto record = apic.save();

    runtime::ManualTimers later;
    later.advance(7'000'000);
    LocalApicBus other_bus;
    LocalApic other{{.apic_id = 0, .bootstrap = true}, other_bus, later};
    RecordingProcessor other_processor;
    other.connect(other_processor, [] { return 0; });
    ASSERT_TRUE(other.restore(record));
    EXPECT_EQ(other.save().bytes, record.bytes);
    EXPECT_FALSE(other.has_interrupt());
    other.write_page(static_cast<std::uint32_t>(Register::EOI), 0);
    EXPECT_EQ(other.acknowledge(), 0x42);
    later.advance(59'999);
    EXPECT_FALSE(other.has_interrupt());
    later.advance(1);
    EXPECT_EQ(other.acknowledge(), 0x60);
    other.write_page(static_cast<std::uint32_t>(Register::EOI), 0);
    later.advance(100'000);
    EXPECT_TRUE(other.has_interrupt());
}

TEST_F(LocalApicTest, ASavedTscDeadlineComesBack) {
    write(Register::LVT_TIMER, kTscDeadline | 0x61);
    ASSERT_TRUE(apic.write_msr(msr::kTscDeadline, 10'000));
    const auto record = apic.save();
    processor.tsc = 8'000;
    ASSERT_TRUE(apic.restore(record));
    timers.advance(999);
    EXPECT_FALSE(apic.has_interrupt());
    timers.advance(1);
    EXPECT_EQ(apic.acknowledge(), 0x61);
}

TEST_F(LocalApicTest, DamagedStateIsRefused) {
    auto record = apic.save();
    record.bytes.pop_back();
    EXPECT_EQ(apic.restore(record).error(), migration::RestoreError::kDamaged);
    record = apic.save();
    record.version = 99;
    EXPECT_EQ(apic.restore(record).error(), migration::RestoreError::kNewerVersion);
}

TEST(LocalApicThreads, NoRequestFromAnotherThreadIsLost) {
    struct Waker final : cpu::InterruptTarget {
        void interrupt_pending() override { ++count; }
        void signal_nmi() override {}
        void signal_init() override {}
        void signal_startup(std::uint8_t) override {}
        std::atomic<unsigned> count{0};
    } waker;
    runtime::ManualTimers timers;
    LocalApicBus bus;
    LocalApic apic{{.apic_id = 0}, bus, timers};
    apic.connect(waker, [] { return 0; });
    apic.write_page(static_cast<std::uint32_t>(Register::SVR), kSoftwareEnable);
    constexpr unsigned kRounds = 20'000;
    std::atomic<unsigned> served{0};
    const auto send = [&](std::uint8_t vector) {
        for (unsigned i = 0; i < kRounds; ++i) {
            const unsigned before = served.load();
            apic.accept(DeliveryMode::kFixed, vector, false);
            // Never the next before this one was seen, else two requests of one vector rightly become one.
            while (i % 64 == 63 && served.load() == before) std::this_thread::yield();
        }
    };
    std::atomic<bool> done{false};
    std::thread owner([&] {
        while (!done.load() || apic.has_interrupt()) {
            if (!apic.has_interrupt()) {
                std::this_thread::yield();
                continue;
            }
            if (!apic.acknowledge()) continue;
            apic.write_page(static_cast<std::uint32_t>(Register::EOI), 0);
            ++served;
        }
    });
    std::thread low([&] { send(0x40); });
    std::thread high([&] { send(0xE0); });
    low.join();
    high.join();
    done = true;
    owner.join();
    EXPECT_EQ(apic.acknowledge(), std::nullopt);
    EXPECT_GE(waker.count.load(), 2u * kRounds / 64);
}

} // namespace
} // namespace touka::platform
