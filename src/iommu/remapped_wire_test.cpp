#include "iommu/remapped_wire.hpp"

#include <gtest/gtest.h>

#include "iommu/test_unit.hpp"

namespace touka::iommu {
namespace {

using platform::MsiMessage;
using spec::vtd::Offset;
namespace global = spec::vtd::global;

class RemappedWireTest : public testing::Test {
protected:
    static constexpr RequesterId kFunction{0x0318};
    static constexpr int kEvent = 1000; // never read here
    /// Present, fixed, vector 41h, physical destination; of the function alone.
    static constexpr std::uint64_t kEntry = 0x41'0001, kCheckFunction = 1u << 18 | 0x0318;
    static constexpr std::uint64_t kInvalidate = 4;                // the interrupt entry cache, all of it
    static constexpr MsiMessage kMessage{0xFEE0'0010 | 5 << 5, 0}; // entry 5

    void SetUp() override {
        test_.msi().wires = &wires_;
        wire_ = msi_.make_wire(kEvent);
        ASSERT_NE(wire_, nullptr);
    }
    void enable(std::uint64_t flags = 0x800) {
        test_.set_wide(Offset::IRTA, TestUnit::kInterruptTable | flags | 7);
        test_.command(global::SIRTP);
        test_.command(global::IRE);
        test_.enable_queue();
    }
    void set_entry(std::uint64_t low, std::uint64_t high = kCheckFunction) {
        test_.store(TestUnit::kInterruptTable + 16 * 5, low);
        test_.store(TestUnit::kInterruptTable + 16 * 5 + 8, high);
    }
    /// As Linux does it after each change.
    void set_and_invalidate(std::uint64_t low, std::uint64_t high = kCheckFunction) {
        set_entry(low, high);
        test_.submit(kInvalidate);
    }
    static constexpr std::uint64_t to(std::uint64_t destination) { return destination << 32; }
    /// What the kernel makes of the signals now.
    [[nodiscard]] std::optional<MsiMessage> carried() const {
        const auto found = wires_.carried.find(kEvent);
        return found == wires_.carried.end() ? std::nullopt : std::optional(found->second);
    }

    platform::RecordingWires wires_;
    TestUnit test_;
    RemappedMsi msi_{test_.unit().interrupts(), kFunction};
    std::unique_ptr<platform::MsiWire> wire_;
};

TEST_F(RemappedWireTest, CarriesTheMessageAsItIsWhileRemappingIsOff) {
    constexpr MsiMessage kPlain{0xFEE0'1000, 0x31};
    EXPECT_TRUE(wire_->carry(kPlain));
    EXPECT_EQ(carried(), kPlain);
    enable(); // of x2APIC: messages without an entry are blocked
    EXPECT_EQ(carried(), std::nullopt);
    test_.command(global::QIE); // off again
    test_.set(Offset::GCMD, 0);
    EXPECT_EQ(carried(), kPlain);
}

TEST_F(RemappedWireTest, CarriesWhatTheEntrySays) {
    enable();
    set_entry(kEntry | to(0x0001'0203));
    ASSERT_TRUE(wire_->carry(kMessage));
    EXPECT_EQ(carried(), (MsiMessage{0x0001'0200'FEE0'3000, 0x41}));
    set_and_invalidate(kEntry | to(3) | 0x14); // logical, level
    EXPECT_EQ(carried(), (MsiMessage{0xFEE0'3004, 0xC041}));
}

TEST_F(RemappedWireTest, FollowsAnEntryWhenItIsInvalidated) {
    enable();
    set_entry(kEntry | to(1));
    ASSERT_TRUE(wire_->carry(kMessage));
    set_entry((kEntry & ~std::uint64_t{0xFF'0000}) | 0x52'0000 | to(2));
    EXPECT_EQ(carried()->data, 0x41u) << "nobody has said so";
    test_.submit(kInvalidate);
    EXPECT_EQ(carried(), (MsiMessage{0xFEE0'2000, 0x52}));
}

TEST_F(RemappedWireTest, WhatIsBlockedIsNotCarriedAndNoFaultYet) {
    enable();
    set_entry(kEntry & ~std::uint64_t{1});
    EXPECT_FALSE(wire_->carry(kMessage));
    EXPECT_TRUE(test_.take_faults().empty());
    msi_.send(kMessage); // as who finds the signal in the eventfd does
    EXPECT_EQ(test_.take_faults().size(), 1u);
    set_entry(kEntry);
    ASSERT_TRUE(wire_->carry(kMessage));
    set_and_invalidate(kEntry, 1u << 18 | 0x0400); // somebody else's
    EXPECT_EQ(carried(), std::nullopt);
    msi_.set_requester(RequesterId{0x0400});
    EXPECT_NE(carried(), std::nullopt);
}

TEST_F(RemappedWireTest, LetsGoOfItWhateverEntriesSayLater) {
    enable();
    set_entry(kEntry);
    ASSERT_TRUE(wire_->carry(kMessage));
    wire_->let_go();
    EXPECT_EQ(carried(), std::nullopt);
    set_and_invalidate(kEntry | to(2));
    EXPECT_EQ(carried(), std::nullopt);
    wire_.reset();
    set_and_invalidate(kEntry | to(3)); // nobody is there any more
}

TEST_F(RemappedWireTest, IsNotThereWhereTheSinkHasNone) {
    test_.msi().wires = nullptr;
    EXPECT_EQ(msi_.make_wire(kEvent), nullptr);
}

} // namespace
} // namespace touka::iommu
