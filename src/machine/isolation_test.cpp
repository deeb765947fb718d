// What a function of a guest's can reach, when it, its driver or its medium does what it should not. (rule T5;
// docs/isolation.md) Each with translations in the unit alone and with the function's own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "devices/nvme/nvme_card.hpp"
#include "devices/nvme/test_driver.hpp"
#include "iommu/test_unit.hpp"
#include "machine/function_paths.hpp"
#include "spec/pci/extended_capability.hpp"

namespace touka::machine {
namespace {

using devices::nvme::NvmeCard;
using devices::nvme::test::block_command;
using devices::nvme::test::TestDriver;
using devices::nvme::test::TestMachine;
using iommu::RequesterId;
using iommu::TestUnit;
using spec::nvme::IoOpcode;
using spec::nvme::Status;
using spec::vtd::AddressType;
using spec::vtd::FaultReason;

constexpr std::uint64_t kVolumeBytes = 1 << 20;
constexpr std::uint64_t kDriverMemory = 0x40'0000, kLargePage = 0x20'0000;
constexpr std::uint64_t kIova = 0x1234'5000, kUnmapped = 0x5678'9000;
constexpr std::byte kMark{0x5A}, kOnVolume{0xC3};

/// A card with its way to memory, and its driver.
struct Card {
    Card(TestMachine& machine, FunctionPaths& paths, const platform::PciAddress& place, bool ats)
        : path(ats ? paths.open_with_translation() : paths.open()), card(configuration(), [&](std::uint16_t) {
              return devices::nvme::NvmePciContext{machine.reactor, path.dma(), path.msi(), path.translation()};
          }) {
        path.belongs_to(card.physical());
        driver.emplace(machine, card.physical(), place);
        std::ranges::fill(volume.bytes, kOnVolume);
    }
    [[nodiscard]] devices::nvme::NvmeCardConfiguration configuration() {
        devices::nvme::NvmeCardConfiguration result;
        result.name = "nvme@1";
        result.subsystem = {.nqn = "nqn.2014-08.org.example:isolation", .serial = "SN", .namespace_limit = 1};
        result.namespaces.push_back(devices::nvme::test::namespace_on(volume));
        return result;
    }
    /// @return whether the function has the capability that was enabled.
    bool enable_translation_services() {
        using namespace spec::pci;
        for (std::uint32_t at = kFirstExtendedCapability; at != 0;) {
            const ExtendedCapabilityHeader header{driver->config_read(at, 4)};
            if (header.get(extended_capability_header::ID) ==
                std::to_underlying(ExtendedCapabilityId::kAddressTranslationServices)) {
                driver->config_write(at + kAtsControlOffset, 2, kAtsEnable);
                return true;
            }
            at = header.get(extended_capability_header::NEXT);
        }
        return false;
    }
    [[nodiscard]] Status read(std::uint64_t iova) {
        return driver->run(driver->io, block_command(IoOpcode::kRead, 0, 8, iova));
    }

    storage::MemoryVolume volume{kVolumeBytes};
    FunctionPaths::Path& path;
    NvmeCard card;
    std::optional<TestDriver> driver;
};

class Isolation : public testing::TestWithParam<bool> {
protected:
    static constexpr platform::PciAddress kFirstPlace{0, 3, 0}, kSecondPlace{0, 4, 0};
    static constexpr RequesterId kFirst{kFirstPlace}, kSecond{kSecondPlace};

    Isolation() {
        machine_.next_free = kDriverMemory;
        data_ = machine_.allocate(4096);
        table_ = grant(kFirst, 1);
        (void)grant(kSecond, 2);
        unit_.map(table_, kIova, data_);
        unit_.enable_translation();
        unit_.enable_queue();
        EXPECT_EQ(first_.enable_translation_services(), GetParam());
        EXPECT_EQ(second_.enable_translation_services(), GetParam());
        EXPECT_TRUE(first_.driver->bring_up());
        EXPECT_TRUE(second_.driver->bring_up());
    }
    void TearDown() override {
        second_.driver.reset();
        first_.driver.reset();
    }
    /// What drivers use for queues and data is where it is.
    std::uint64_t grant(RequesterId who, std::uint16_t domain) {
        const auto type = GetParam() ? spec::vtd::TranslationType::kAll : spec::vtd::TranslationType::kUntranslatedOnly;
        const auto table = unit_.set_context(who, domain, 4, type);
        unit_.map(table, kDriverMemory, kDriverMemory, TestUnit::kReadWrite, 2);
        return table;
    }
    /// As Linux's driver does it: the tables, then both caches.
    void invalidate(std::uint64_t iova) {
        unit_.submit(2 | 3 << 4 | 1 << 16, iova);
        if (GetParam()) unit_.submit(3 | std::uint64_t{kFirst.value} << 32, iova);
        unit_.submit_wait();
    }
    void unmap(std::uint64_t iova) {
        unit_.store(unit_.paging_entry(table_, iova, 1), 0);
        invalidate(iova);
    }
    /// A read into kIova that the medium has not answered.
    void begin_read() {
        first_.volume.held = true;
        EXPECT_EQ(first_.read(kIova), TestDriver::kPending);
    }
    void end_read() {
        machine_.reactor.run_and_wait([this] { first_.volume.complete_all(); });
        first_.driver->settle();
        first_.volume.held = false;
    }
    void mark(std::uint64_t guest) { std::memset(machine_.ram->base() + guest, std::to_integer<int>(kMark), 4096); }
    /// Every byte of the page is this one.
    [[nodiscard]] bool all(std::uint64_t guest, std::byte value) {
        const std::span page(machine_.ram->base() + guest, 4096);
        return std::ranges::all_of(page, [value](std::byte each) { return each == value; });
    }
    [[nodiscard]] bool function_answers() {
        return first_.driver->config_read(spec::pci::offset::kVendorId, 2) == devices::nvme::kVendorId;
    }
    void expect_fault(std::uint64_t iova) {
        EXPECT_THAT(unit_.take_faults(),
                    testing::ElementsAre(TestUnit::Recorded{FaultReason::kWriteNotPermitted, kFirst.value, iova, false,
                                                            AddressType::kUntranslated}));
    }
    void expect_the_other_works() {
        const std::uint64_t page = machine_.allocate(4096);
        EXPECT_EQ(second_.read(page), Status::kSuccess);
        EXPECT_TRUE(all(page, kOnVolume));
    }

    TestMachine machine_;
    TestUnit unit_{*machine_.ram};
    FunctionPaths paths_{*machine_.ram, machine_.messages, &unit_.unit()};
    Card first_{machine_, paths_, kFirstPlace, GetParam()}, second_{machine_, paths_, kSecondPlace, GetParam()};
    std::uint64_t table_ = 0, data_ = 0;
};

TEST_P(Isolation, WhatWasNotMappedIsOutOfReachAndTheFaultNamesRequesterAndAddress) {
    mark(data_);
    EXPECT_EQ(first_.read(kUnmapped), Status::kDataTransferError);
    EXPECT_EQ(first_.read(data_ - kDriverMemory), Status::kDataTransferError) << "not by its guest address, either";
    EXPECT_EQ(unit_.take_faults().size(), 2u);
    EXPECT_TRUE(all(data_, kMark));
    EXPECT_EQ(first_.read(kIova), Status::kSuccess);
    EXPECT_TRUE(all(data_, kOnVolume));
    EXPECT_EQ(first_.read(kUnmapped), Status::kDataTransferError);
    expect_fault(kUnmapped);
    expect_the_other_works();
}

TEST_P(Isolation, WhatOnlyTheOtherFunctionWasGivenIsOutOfReach) {
    EXPECT_EQ(first_.read(kIova), Status::kSuccess);
    mark(data_);
    EXPECT_EQ(second_.read(kIova), Status::kDataTransferError);
    EXPECT_TRUE(all(data_, kMark));
    const auto faults = unit_.take_faults();
    ASSERT_EQ(faults.size(), 1u);
    EXPECT_EQ(faults[0].requester, kSecond.value);
    EXPECT_EQ(faults[0].address, kIova);
}

TEST_P(Isolation, MemoryThatIsTakenAwayDuringAReadIsGivenUpBeforeTheAnswerAndNotTouchedAfter) {
    begin_read();
    unmap(kIova);
    EXPECT_FALSE(unit_.wait_complete());
    expect_the_other_works();
    end_read();
    EXPECT_TRUE(unit_.wait_complete());
    EXPECT_TRUE(first_.driver->take(first_.driver->io).has_value());
    mark(data_);
    EXPECT_EQ(first_.read(kIova), Status::kDataTransferError);
    EXPECT_TRUE(all(data_, kMark));
    expect_fault(kIova);
}

TEST_P(Isolation, MemoryThatIsMappedElsewhereIsNotReachedByWhatWasKept) {
    EXPECT_EQ(first_.read(kIova), Status::kSuccess);
    const std::uint64_t elsewhere = machine_.allocate(4096);
    unit_.map(table_, kIova, elsewhere);
    invalidate(kIova);
    ASSERT_TRUE(unit_.wait_complete());
    mark(data_);
    EXPECT_EQ(first_.read(kIova), Status::kSuccess);
    EXPECT_TRUE(all(data_, kMark));
    EXPECT_TRUE(all(elsewhere, kOnVolume));
}

TEST_P(Isolation, AfterAFunctionLevelResetNothingIsWritten) {
    begin_read();
    auto& driver = *first_.driver;
    const std::uint32_t express = driver.find_capability(spec::pci::CapabilityId::kPciExpress);
    driver.config_write(express + spec::pci::kDeviceControlOffset, 2, 0x8000);
    EXPECT_FALSE(function_answers()) << "the reset is not over while the medium may write";
    driver.config_write(spec::pci::offset::kCommand, 2, 0x0006); // is not taken, either
    expect_the_other_works();
    end_read();
    ASSERT_TRUE(function_answers());
    EXPECT_EQ(driver.config_read(spec::pci::offset::kCommand, 2), 0u);
    // From here on nobody writes, whatever was under way.
    mark(data_);
    mark(driver.io.completion);
    first_.volume.held = true;
    end_read();
    EXPECT_TRUE(all(data_, kMark));
    EXPECT_TRUE(all(driver.io.completion, kMark));
    EXPECT_TRUE(unit_.take_faults().empty());
}

TEST_P(Isolation, AFunctionLevelResetEmptiesWhatTheFunctionKept) {
    EXPECT_EQ(first_.read(kIova), Status::kSuccess);
    first_.card.physical().bus_reset();
    EXPECT_EQ(first_.enable_translation_services(), GetParam());
    unit_.store(unit_.paging_entry(table_, kIova, 1), 0); // nobody is told: it keeps nothing
    unit_.submit(2 | 3 << 4 | 1 << 16, kIova);
    first_.driver->enable_function();
    ASSERT_TRUE(first_.driver->bring_up());
    mark(data_);
    EXPECT_EQ(first_.read(kIova), Status::kDataTransferError);
    EXPECT_TRUE(all(data_, kMark));
}

INSTANTIATE_TEST_SUITE_P(Translations, Isolation, testing::Bool(),
                         [](const auto& of) { return of.param ? "KeptByTheFunction" : "KeptByTheUnit"; });

} // namespace
} // namespace touka::machine
