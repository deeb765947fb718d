#include "platform/pci/pci_root.hpp"

#include <gtest/gtest.h>

#include "platform/pci/expansion_rom.hpp"
#include "platform/pci/test_function.hpp"
#include "platform/recording_line.hpp"
#include "spec/pci/express.hpp"
#include "spec/pci/q35.hpp"

namespace touka::platform {
namespace {

using namespace spec::pci;
using test::TestFunction;

constexpr PciAddress kPlace{0, 3, 0};
constexpr std::uint64_t kFunctionWindow = kEcamBase + (3 << 15);

class ResetControl final : public IoHandler {
public:
    [[nodiscard]] std::uint64_t read(std::uint64_t, unsigned) override { return 0x5A; }
    void write(std::uint64_t, unsigned, std::uint64_t value) override { written = value; }
    std::uint64_t written = 0;
};

class PciRootTest : public testing::Test {
protected:
    PciRootConfig config() {
        PciRootConfig result;
        for (unsigned i = 0; i < kPciGsiCount; ++i) result.interrupt_inputs[i] = &lines_[i];
        result.reset_control = &reset_control_;
        return result;
    }
    void SetUp() override { ASSERT_TRUE(root_.plug(kPlace, function_).has_value()); }
    void TearDown() override { root_.unplug(kPlace); }
    [[nodiscard]] std::uint64_t read(std::uint64_t offset, unsigned width) {
        return memory_.read(kFunctionWindow + offset, width);
    }
    void write(std::uint64_t offset, unsigned width, std::uint64_t value) {
        memory_.write(kFunctionWindow + offset, width, value);
    }

    AddressSpace memory_, ports_;
    std::array<RecordingLine, kPciGsiCount> lines_;
    ResetControl reset_control_;
    TestFunction function_;
    PciRoot root_{memory_, ports_, config()};
};

TEST_F(PciRootTest, ShowsTheSameRegistersThroughTheWindowAndThroughThePorts) {
    EXPECT_EQ(read(0, 4), 0x5678'1234u);
    EXPECT_EQ(read(0x2C, 4), 0xBBBB'AAAAu);
    EXPECT_EQ(read(8, 4), 0x0880'0109u);
    ports_.write(0xCF8, 4, 0x8000'1800);
    EXPECT_EQ(ports_.read(0xCFC, 4), 0x5678'1234u);
    EXPECT_EQ(ports_.read(0xCFE, 2), 0x5678u);
    ports_.write(0xCF8, 4, 0x0000'1800); // not enabled
    EXPECT_EQ(ports_.read(0xCFC, 4), 0xFFFF'FFFFu);
}

TEST_F(PciRootTest, NobodyThereReadsAllOnes) {
    EXPECT_EQ(memory_.read(kEcamBase + (4 << 15), 4), 0xFFFF'FFFFu);
    EXPECT_EQ(memory_.read(kEcamBase + kEcamBytesPerBus, 2), 0xFFFFu);
    EXPECT_EQ(read(0x1000, 4), 0xFFFF'FFFFu); // function 1
    EXPECT_EQ(read(0xFFE, 4), 0xFFFF'0000u);  // over the end of function 0
}

TEST_F(PciRootTest, TheResetControlPortIsReachedInTheMiddleOfConfigAddress) {
    ports_.write(0xCF8, 4, 0x8000'1234);
    ports_.write(0xCF9, 1, 6);
    EXPECT_EQ(reset_control_.written, 6u);
    EXPECT_EQ(ports_.read(0xCF9, 1), 0x5Au);
    EXPECT_EQ(ports_.read(0xCF8, 4), 0x8000'1234u);
}

TEST_F(PciRootTest, AssignsBarsFromTheirWindowsAndEnablesNothing) {
    EXPECT_EQ(read(offset::kCommand, 2), 0u);
    const std::uint64_t bar0 = read(0x10, 8);
    EXPECT_EQ(bar0 & 0xF, kBarMemory64);
    EXPECT_EQ((bar0 & ~0xFull) % 0x4000, 0u);
    EXPECT_GE(bar0, kPciMemory32.first);
    EXPECT_LE(bar0, kPciMemory32.last());
    EXPECT_GE(read(0x18, 4) & kBarIoMask, kPciPorts.first);
    EXPECT_GE(read(0x1C, 8), 0x1'0000'0000u);
    EXPECT_TRUE(function_.mapped.empty());
    EXPECT_EQ(memory_.read(bar0 & ~0xFull, 4), 0xFFFF'FFFFu);
}

TEST_F(PciRootTest, BarsAppearWithTheirCommandBitAndFollowTheirRegister) {
    const std::uint64_t bar0 = read(0x10, 4) & kBarMemoryMask;
    write(offset::kCommand, 2, 0x2);
    EXPECT_EQ(memory_.read(bar0 + 8, 4), 8u);
    EXPECT_EQ(ports_.read(read(0x18, 4) & kBarIoMask, 1), 0xFFu);
    write(0x10, 4, 0xD000'0000);
    EXPECT_EQ(memory_.read(bar0 + 8, 4), 0xFFFF'FFFFu);
    EXPECT_EQ(memory_.read(0xD000'0010, 4), 0x10u);
    write(offset::kCommand, 2, 0x1);
    EXPECT_EQ(memory_.read(0xD000'0010, 4), 0xFFFF'FFFFu);
    EXPECT_EQ(ports_.read((read(0x18, 4) & kBarIoMask) + 4, 1), 4u);
}

TEST_F(PciRootTest, AnswersTheSizeOfEachBarWhenAllOnesAreWritten) {
    write(0x10, 8, ~std::uint64_t{0});
    EXPECT_EQ(read(0x10, 8), 0xFFFF'FFFF'FFFF'C004u);
    write(0x18, 4, 0xFFFF'FFFF);
    EXPECT_EQ(read(0x18, 4), 0xFFFF'FFE1u);
    write(0x1C, 4, 0xFFFF'FFFF);
    EXPECT_EQ(read(0x1C, 4), 0xFFF0'000Cu);
    EXPECT_EQ(read(0x24, 4) & 0xF, 0u);
    write(0x24, 4, 0xFFFF'FFFF);
    EXPECT_EQ(read(0x24, 4), 0xFFFF'F000u);
}

TEST_F(PciRootTest, ABarOverAnotherOneStaysAwayUntilItMoves) {
    TestFunction second("test@00:04.0");
    ASSERT_TRUE(root_.plug({0, 4, 0}, second).has_value());
    write(offset::kCommand, 2, 0x2);
    const std::uint64_t bar0 = read(0x10, 4) & kBarMemoryMask;
    memory_.write(kEcamBase + (4 << 15) + 0x10, 4, bar0);
    memory_.write(kEcamBase + (4 << 15) + 4, 2, 0x2);
    memory_.write(bar0 + 0x44, 4, 1);
    EXPECT_EQ(function_.handler.last_offset, 0x44u);
    memory_.write(kEcamBase + (4 << 15) + 0x10, 4, 0xD000'0000);
    memory_.write(0xD000'0048, 4, 1);
    EXPECT_EQ(second.handler.last_offset, 0x48u);
    root_.unplug({0, 4, 0});
    EXPECT_EQ(memory_.read(0xD000'0048, 4), 0xFFFF'FFFFu);
}

TEST_F(PciRootTest, CapabilitiesAreAListThatEnds) {
    std::vector<std::uint8_t> ids;
    for (std::uint64_t at = read(0x34, 1); at != 0 && ids.size() < 10; at = read(at + 1, 1)) {
        ids.push_back(static_cast<std::uint8_t>(read(at, 1)));
    }
    EXPECT_EQ(ids, (std::vector<std::uint8_t>{0x11, 0x01, 0x10}));
    EXPECT_TRUE(read(offset::kStatus, 2) & 0x10);
}

TEST_F(PciRootTest, InterruptPinsSharingAnInputAreOred) {
    TestFunction second("test@00:0b.0");
    ASSERT_TRUE(root_.plug({0, 11, 0}, second).has_value());
    RecordingLine& line = lines_[pci_pin_gsi(3, 1) - kFirstPciGsi];
    ASSERT_EQ(pci_pin_gsi(11, 1), pci_pin_gsi(3, 1));
    function_.interrupt(true);
    second.interrupt(true);
    function_.interrupt(false);
    EXPECT_TRUE(line.asserted());
    second.interrupt(false);
    EXPECT_FALSE(line.asserted());
    root_.unplug({0, 11, 0});
}

TEST_F(PciRootTest, InterruptDisableTakesTheWireBackButNotTheStatus) {
    RecordingLine& line = lines_[pci_pin_gsi(3, 1) - kFirstPciGsi];
    function_.interrupt(true);
    EXPECT_TRUE(line.asserted());
    write(offset::kCommand, 2, 0x400);
    EXPECT_FALSE(line.asserted());
    EXPECT_TRUE(read(offset::kStatus, 2) & 0x8);
    write(offset::kCommand, 2, 0);
    EXPECT_TRUE(line.asserted());
}

TEST_F(PciRootTest, FunctionLevelResetClearsTheFunctionAndKeepsTheAssignment) {
    const std::uint64_t bar0 = read(0x10, 8);
    write(0x10, 4, 0xD000'0000);
    write(offset::kCommand, 2, 0x6);
    EXPECT_EQ(function_.grants, 1);
    std::uint64_t express = read(0x34, 1);
    while (read(express, 1) != 0x10) express = read(express + 1, 1);
    EXPECT_TRUE(read(express + 4, 4) & kFunctionLevelResetCapable);
    write(express + 8, 2, kInitiateFunctionLevelReset);
    EXPECT_EQ(function_.resets, 1);
    EXPECT_EQ(read(offset::kCommand, 2), 0u);
    EXPECT_EQ(read(0x10, 8), bar0);
    EXPECT_FALSE(function_.bus_master_enabled());
    EXPECT_TRUE(function_.mapped.empty());
}

TEST_F(PciRootTest, ReadOnlyRegistersStayAsTheyAre) {
    for (const std::uint32_t at : {0x00u, 0x08u, 0x0Cu, 0x2Cu, 0x30u, 0x34u, 0x40u, 0x100u, 0xFFCu}) {
        const std::uint64_t before = read(at, 4);
        write(at, 2, 0xFFFF);
        EXPECT_EQ(read(at, 4), before) << at;
    }
}

TEST_F(PciRootTest, TheChipsetLooksLikeAQ35) {
    EXPECT_EQ(memory_.read(kEcamBase, 4), 0x29C0'8086u);
    EXPECT_EQ(memory_.read(kEcamBase + (0x1F << 15), 4), 0x2918'8086u);
    EXPECT_EQ(memory_.read(kEcamBase + (0x1F << 15) + kPmbaseOffset, 4), kPmBase | 1u);
    EXPECT_EQ(memory_.read(kEcamBase + kPciexbarOffset, 8), kEcamBase | 5);
}

TEST_F(PciRootTest, FirmwareCanMoveTheConfigurationWindow) {
    memory_.write(kEcamBase + kPciexbarOffset, 4, 0xE000'0001); // and make it 256 MiB
    EXPECT_EQ(memory_.read(kEcamBase, 4), 0xFFFF'FFFFu);
    EXPECT_EQ(memory_.read(0xE000'0000, 4), 0x29C0'8086u);
    EXPECT_EQ(memory_.read(0xE000'0000 + (3 << 15), 4), 0x5678'1234u);
    for (Device* device : root_.chipset()) device->reset();
    EXPECT_EQ(memory_.read(kEcamBase, 4), 0x29C0'8086u);
}

TEST_F(PciRootTest, ReportsPlacesThatAreTakenOrDoNotExist) {
    TestFunction second;
    EXPECT_EQ(root_.plug(kPlace, second).error(), PciError::kOccupied);
    EXPECT_EQ(root_.plug({1, 0, 0}, second).error(), PciError::kNoSuchPlace);
    EXPECT_EQ(root_.plug({0, 32, 0}, second).error(), PciError::kNoSuchPlace);
}

TEST_F(PciRootTest, ReportsAWindowThatIsFull) {
    AddressSpace memory, ports;
    PciRootConfig small;
    small.memory32 = {0xC000'0000, 0x4000};
    PciRoot root(memory, ports, small);
    TestFunction second;
    EXPECT_EQ(root.plug(kPlace, second).error(), PciError::kNoAddressesLeft); // BAR 0 fits, MSI-X does not
    EXPECT_EQ(root.read_config(kPlace, 0, 2), 0xFFFFu);
}

TEST_F(PciRootTest, AnUnpluggedFunctionsAddressesAreGivenOutAgain) {
    const std::uint64_t bar0 = read(0x10, 4);
    root_.unplug(kPlace);
    EXPECT_EQ(read(0, 4), 0xFFFF'FFFFu);
    ASSERT_TRUE(root_.plug(kPlace, function_).has_value());
    EXPECT_EQ(read(0x10, 4), bar0);
}

TEST_F(PciRootTest, AFunctionOfMoreThanOneSaysSoInItsFirst) {
    EXPECT_EQ(read(offset::kHeaderType, 1), 0u);
    TestFunction second("test@00:03.1");
    ASSERT_TRUE(root_.plug({0, 3, 1}, second).has_value());
    EXPECT_EQ(read(offset::kHeaderType, 1), 0x80u);
    EXPECT_EQ(read(0xC, 4), 0x80'0000u);
    root_.unplug({0, 3, 1});
}

TEST_F(PciRootTest, AFunctionsStateRoundTripsWithItsBarsMapped) {
    write(0x10, 4, 0xD000'0000);
    write(offset::kCommand, 2, 0x7);
    const migration::Record record = function_.save();
    function_.reset();
    EXPECT_EQ(memory_.read(0xD000'0010, 4), 0xFFFF'FFFFu);
    ASSERT_TRUE(function_.restore(record).has_value());
    EXPECT_EQ(memory_.read(0xD000'0010, 4), 0x10u);
    EXPECT_TRUE(function_.bus_master_enabled());
    EXPECT_EQ(function_.save().bytes, record.bytes);
}

TEST_F(PciRootTest, AStateOfAnotherFunctionOrWithForgedReadOnlyBitsChangesNothingItMayNot) {
    PciFunctionState state = migration::load_record<PciFunctionState>(function_.save()).value();
    state.config[offset::kClassCode + 2] = 0xFF;
    ASSERT_TRUE(function_.restore(migration::save_record("", state)).has_value());
    EXPECT_EQ(read(8, 4), 0x0880'0109u);
    state.config[0] = 0x86;
    EXPECT_EQ(function_.restore(migration::save_record("", state)).error(), migration::RestoreError::kMismatch);
}

TEST_F(PciRootTest, TheRootsOwnStateRoundTrips) {
    ports_.write(0xCF8, 4, 0x8000'1800);
    memory_.write(kEcamBase + kPciexbarOffset, 4, 0xE000'0001);
    std::vector<migration::Record> records{root_.save()};
    for (Device* device : root_.chipset()) records.push_back(device->save());
    root_.reset();
    for (Device* device : root_.chipset()) device->reset();
    EXPECT_EQ(ports_.read(0xCF8, 4), 0u);
    ASSERT_TRUE(root_.restore(records[0]).has_value());
    ASSERT_TRUE(root_.chipset()[0]->restore(records[1]).has_value());
    ASSERT_TRUE(root_.chipset()[1]->restore(records[2]).has_value());
    EXPECT_EQ(ports_.read(0xCF8, 4), 0x8000'1800u);
    EXPECT_EQ(memory_.read(0xE000'0000, 4), 0x29C0'8086u);
}

class FunctionWithRom final : public PciFunction {
public:
    explicit FunctionWithRom(std::vector<std::byte> image)
        : PciFunction("rom@00:04.0", PciIdentity{.vendor_id = 0x1234}), rom_(std::move(image)) {
        define_rom(rom_.length_bytes(), rom_);
    }
    ~FunctionWithRom() override { detach(); }
    [[nodiscard]] migration::Record save() const override { return migration::save_record("rom", save_function()); }
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override {
        const auto state = migration::load_record<PciFunctionState>(record);
        return state ? restore_function(*state) : std::unexpected(state.error());
    }

private:
    ExpansionRom rom_;
};

TEST_F(PciRootTest, AnExpansionRomHasAnAddressFromTheStartAndIsDecodedWhenEnabled) {
    FunctionWithRom function(std::vector<std::byte>(5000, std::byte{0x5A}));
    constexpr PciAddress kAt{0, 4, 0};
    ASSERT_TRUE(root_.plug(kAt, function));
    const std::uint32_t at = root_.read_config(kAt, kExpansionRomOffset, 4);
    ASSERT_NE(at, 0u);
    EXPECT_EQ(at % 8192, 0u);
    root_.write_config(kAt, kExpansionRomOffset, 4, ~0u);
    EXPECT_EQ(root_.read_config(kAt, kExpansionRomOffset, 4), 0xFFFF'E001u) << "bits 10 to 1 are 0";
    root_.write_config(kAt, kExpansionRomOffset, 4, at | 1);
    EXPECT_EQ(memory_.read(at, 4), 0xFFFF'FFFFu) << "Memory Space Enable is off";
    root_.write_config(kAt, 4, 2, 2);
    EXPECT_EQ(memory_.read(at, 4), 0x5A5A'5A5Au);
    EXPECT_EQ(memory_.read(at + 4998, 4), 0xFFFF'5A5Au);
    const auto record = function.save();
    root_.write_config(kAt, kExpansionRomOffset, 4, at);
    EXPECT_EQ(memory_.read(at, 4), 0xFFFF'FFFFu);
    ASSERT_TRUE(function.restore(record));
    EXPECT_EQ(memory_.read(at, 4), 0x5A5A'5A5Au);
    root_.unplug(kAt);
    EXPECT_EQ(memory_.read(at, 4), 0xFFFF'FFFFu);
}

} // namespace
} // namespace touka::platform
