#include "scsi/changer/changer_unit.hpp"

#include <gtest/gtest.h>

#include "scsi/tape/memory_tape_file.hpp"
#include "scsi/tape/test_worker.hpp"
#include "scsi/test_task.hpp"
#include "spec/scsi/byte_order.hpp"

namespace touka::scsi {
namespace {

using Bytes = std::vector<std::uint8_t>;
using spec::scsi::load_number;

constexpr ElementAddress kDoor = LibraryGeometry::kFirstImportExport, kDrive = LibraryGeometry::kFirstDrive,
                         kSlot = LibraryGeometry::kFirstSlot;

/// Keeps what was saved last; can fail.
class MemoryStore final : public InventoryStore {
public:
    struct Contents {
        std::string text;
        bool fail = false;
        unsigned saves = 0;
    };
    explicit MemoryStore(std::shared_ptr<Contents> contents) : contents_(std::move(contents)) {}
    [[nodiscard]] std::expected<void, std::string> save(const Inventory& inventory) override {
        if (contents_->fail) return std::unexpected("full");
        ++contents_->saves;
        contents_->text = inventory_text(inventory);
        return {};
    }

private:
    std::shared_ptr<Contents> contents_;
};

/// Two drives, four slots with three cartridges, two import/export slots.
class Changer : public testing::Test {
protected:
    Changer() {
        Inventory inventory({.slots = 4, .import_export = 2, .drives = 2});
        for (unsigned i = 0; i < 3; ++i) put(inventory, static_cast<ElementAddress>(kSlot + i), i);
        start(std::move(inventory));
    }
    static void put(Inventory& inventory, ElementAddress element, unsigned number) {
        EXPECT_TRUE(inventory.put(element, {.cartridge = cartridge(number)}).has_value());
    }
    static Cartridge cartridge(unsigned number) {
        const std::string barcode = "A0000" + std::to_string(number) + "L5";
        return {.path = barcode + ".tap", .barcode = barcode};
    }
    void start(Inventory inventory) {
        changer.reset();
        drives.clear();
        for (int i = 0; i < 2; ++i) {
            TapeUnit::Configuration configuration;
            configuration.identity.serial = "DRIVE" + std::to_string(i);
            auto drive_worker = std::make_unique<TestWorker>();
            drive_workers[static_cast<std::size_t>(i)] = drive_worker.get();
            drives.push_back(std::make_unique<TapeUnit>(
                std::move(drive_worker), configuration,
                [this](const Cartridge& one) -> std::expected<std::unique_ptr<TapeFile>, std::string> {
                    auto& contents = files[one.path];
                    if (!contents) contents = std::make_shared<MemoryTapeFile::Contents>();
                    return std::make_unique<MemoryTapeFile>(contents);
                }));
            drives.back()->server().attach(nexus);
        }
        auto owned = std::make_unique<TestWorker>();
        worker = owned.get();
        ChangerUnit::Configuration configuration;
        configuration.identity.serial = "LIBRARY";
        changer.emplace(std::move(owned), configuration, std::move(inventory), std::make_unique<MemoryStore>(saved),
                        std::vector{drives[0].get(), drives[1].get()});
        changer->server().attach(nexus);
        changer->load_drives([](const std::string&) { FAIL(); });
        for (auto& drive : drives) run(drive->server(), {0x03, 0, 0, 0, 252, 0});
        execute({0x03, 0, 0, 0, 252, 0});
    }
    TestTask& run(DeviceServer& server, Bytes cdb, Bytes data = {}) {
        tasks.push_back(std::make_unique<TestTask>(nexus, std::move(cdb), std::move(data)));
        server.submit(*tasks.back());
        return *tasks.back();
    }
    TestTask& execute(Bytes cdb) { return run(changer->server(), std::move(cdb)); }
    TestTask& move(ElementAddress from, ElementAddress to, ElementAddress robot = 0) {
        const auto high = [](ElementAddress address) { return static_cast<std::uint8_t>(address >> 8); };
        const auto low = [](ElementAddress address) { return static_cast<std::uint8_t>(address); };
        return execute({0xA5, 0, high(robot), low(robot), high(from), low(from), high(to), low(to), 0, 0, 0, 0});
    }
    TestTask& exchange(ElementAddress from, ElementAddress first, ElementAddress second) {
        Bytes cdb = {0xA6, 0, 0, 1};
        for (const ElementAddress address : {from, first, second}) {
            cdb.push_back(static_cast<std::uint8_t>(address >> 8));
            cdb.push_back(static_cast<std::uint8_t>(address));
        }
        cdb.resize(12);
        return execute(cdb);
    }
    [[nodiscard]] std::string at(ElementAddress element) const {
        const StoredCartridge* stored = changer->inventory().find(element);
        return stored != nullptr ? stored->cartridge.barcode : "";
    }
    void expect_sense(const TestTask& task, SenseKey key, SenseCode code) {
        ASSERT_TRUE(task.completed());
        EXPECT_EQ(task.status, Status::kCheckCondition);
        EXPECT_EQ(task.sense_key(), key);
        EXPECT_EQ(task.sense_code(), code);
    }
    void expect_refused(const TestTask& task, SenseCode code) { expect_sense(task, SenseKey::kIllegalRequest, code); }
    TestTask& test_unit_ready(std::size_t drive) { return run(drives[drive]->server(), {0, 0, 0, 0, 0, 0}); }

    Nexus nexus;
    std::map<std::string, std::shared_ptr<MemoryTapeFile::Contents>> files;
    std::shared_ptr<MemoryStore::Contents> saved = std::make_shared<MemoryStore::Contents>();
    std::vector<std::unique_ptr<TapeUnit>> drives;
    std::array<TestWorker*, 2> drive_workers{};
    TestWorker* worker = nullptr;
    std::optional<ChangerUnit> changer;
    std::vector<std::unique_ptr<TestTask>> tasks;
};

TEST_F(Changer, MovesACartridgeIntoADriveWhichLoadsItAndBack) {
    EXPECT_EQ(move(kSlot + 1, kDrive).status, Status::kGood);
    EXPECT_EQ(at(kDrive), "A00001L5");
    EXPECT_EQ(at(kSlot + 1), "");
    EXPECT_EQ(test_unit_ready(0).sense_code(), SenseCode::kNotReadyToReadyChange);
    EXPECT_EQ(test_unit_ready(0).status, Status::kGood);
    EXPECT_EQ(run(drives[0]->server(), {0x0A, 0, 0, 0, 4, 0}, Bytes(4)).status, Status::kGood);
    EXPECT_EQ(move(kDrive, kSlot + 3).status, Status::kGood);
    EXPECT_EQ(test_unit_ready(0).sense_code(), SenseCode::kMediumNotPresent);
    EXPECT_EQ(files["A00001L5.tap"]->stable, files["A00001L5.tap"]->bytes);
    EXPECT_EQ(files["A00001L5.tap"]->bytes.size(), 12u + 4);
    EXPECT_EQ(at(kSlot + 3), "A00001L5");
}

TEST_F(Changer, RefusesMovesThatCannotBe) {
    expect_refused(move(kSlot + 3, kDrive), SenseCode::kMediumSourceElementEmpty);
    expect_refused(move(kSlot, kSlot + 1), SenseCode::kMediumDestinationElementFull);
    expect_refused(move(kSlot, kSlot), SenseCode::kMediumDestinationElementFull);
    expect_refused(move(kSlot, kSlot + 4), SenseCode::kInvalidElementAddress);
    expect_refused(move(kDoor + 2, kSlot + 3), SenseCode::kInvalidElementAddress);
    expect_refused(move(kSlot, LibraryGeometry::kRobot), SenseCode::kInvalidElementAddress);
    expect_refused(move(kSlot, kSlot + 3, kSlot), SenseCode::kInvalidElementAddress);
    EXPECT_EQ(saved->saves, 0u);
    EXPECT_EQ(move(kSlot, kSlot + 3, LibraryGeometry::kRobot).status, Status::kGood);
}

TEST_F(Changer, ExchangesTheCartridgeInADriveForAnother) {
    move(kSlot, kDrive);
    EXPECT_EQ(exchange(kSlot + 1, kDrive, kSlot + 1).status, Status::kGood);
    EXPECT_EQ(at(kDrive), "A00001L5");
    EXPECT_EQ(at(kSlot + 1), "A00000L5");
    EXPECT_EQ(drives[0]->cartridge()->barcode, "A00001L5");
    EXPECT_EQ(exchange(kSlot + 2, kDrive, kDrive + 1).status, Status::kGood);
    EXPECT_EQ(drives[0]->cartridge()->barcode, "A00002L5");
    EXPECT_EQ(drives[1]->cartridge()->barcode, "A00001L5");
    expect_refused(exchange(kSlot + 1, kSlot + 3, kSlot + 2), SenseCode::kMediumSourceElementEmpty);
    expect_refused(exchange(kSlot + 1, kDrive, kDrive + 1), SenseCode::kMediumDestinationElementFull);
    expect_refused(exchange(kSlot + 1, kDrive, 7), SenseCode::kInvalidElementAddress);
}

TEST_F(Changer, ACartridgeThatAnInitiatorKeepsInItsDriveStays) {
    move(kSlot, kDrive);
    run(drives[0]->server(), {0x03, 0, 0, 0, 252, 0});
    EXPECT_EQ(run(drives[0]->server(), {0x1E, 0, 0, 0, 1, 0}).status, Status::kGood);
    expect_refused(move(kDrive, kSlot), SenseCode::kMediumRemovalPrevented);
    expect_refused(exchange(kSlot + 1, kDrive, kSlot + 1), SenseCode::kMediumRemovalPrevented);
    EXPECT_EQ(at(kDrive), "A00000L5");
    EXPECT_EQ(at(kSlot + 1), "A00001L5");
    run(drives[0]->server(), {0x1E, 0, 0, 0, 0, 0});
    EXPECT_EQ(move(kDrive, kSlot).status, Status::kGood);
}

TEST_F(Changer, AnswersAMoveWhenItIsSavedAndLoaded) {
    worker->paused = true;
    TestTask& task = move(kSlot, kDrive);
    EXPECT_FALSE(task.completed());
    EXPECT_EQ(at(kSlot), "A00000L5");
    TestTask& second = move(kSlot + 1, kDrive);
    drive_workers[0]->paused = true;
    worker->drain();
    EXPECT_FALSE(task.completed());
    drive_workers[0]->drain();
    EXPECT_TRUE(task.completed());
    EXPECT_EQ(task.status, Status::kGood);
    expect_refused(second, SenseCode::kMediumDestinationElementFull);
}

TEST_F(Changer, AMoveThatCannotBeSavedIsTakenBack) {
    move(kSlot, kDrive);
    saved->fail = true;
    expect_sense(move(kDrive, kSlot), SenseKey::kHardwareError, SenseCode::kInternalTargetFailure);
    EXPECT_EQ(at(kDrive), "A00000L5");
    ASSERT_NE(drives[0]->cartridge(), nullptr);
    EXPECT_EQ(drives[0]->cartridge()->barcode, "A00000L5");
    expect_sense(move(kSlot + 1, kDrive + 1), SenseKey::kHardwareError, SenseCode::kInternalTargetFailure);
    EXPECT_EQ(drives[1]->cartridge(), nullptr);
}

TEST_F(Changer, AWriteThatIsLostWhenADriveUnloadsFailsTheMoveOnce) {
    move(kSlot, kDrive);
    run(drives[0]->server(), {0x03, 0, 0, 0, 252, 0});
    run(drives[0]->server(), {0x0A, 0, 0, 0, 4, 0}, Bytes(4));
    files["A00000L5.tap"]->fail_synchronize = true;
    expect_sense(move(kDrive, kSlot), SenseKey::kHardwareError, SenseCode::kMediaLoadOrEjectFailed);
    EXPECT_EQ(move(kDrive, kSlot).status, Status::kGood);
}

TEST_F(Changer, FindsEverythingWhereItWasAfterARestart) {
    move(kSlot + 2, kDrive + 1);
    move(kSlot, kDoor);
    auto inventory = parse_inventory(saved->text, "state", {.slots = 4, .import_export = 2, .drives = 2});
    ASSERT_TRUE(inventory.has_value()) << inventory.error();
    start(std::move(*inventory));
    EXPECT_EQ(at(kDrive + 1), "A00002L5");
    EXPECT_EQ(at(kDoor), "A00000L5");
    EXPECT_EQ(at(kSlot + 1), "A00001L5");
    EXPECT_EQ(drives[1]->cartridge()->path, "A00002L5.tap");
    EXPECT_EQ(changer->inventory().find(kDrive + 1)->source, kSlot + 2);
}

TEST_F(Changer, TellsOfWhatTheOperatorDoesAtItsDoors) {
    std::optional<std::expected<void, std::string>> result;
    const auto note = [&](std::expected<void, std::string> ended) { result = std::move(ended); };
    changer->put_in(kDoor + 1, cartridge(7), note);
    EXPECT_TRUE(result->has_value());
    expect_sense(execute({0, 0, 0, 0, 0, 0}), SenseKey::kUnitAttention, SenseCode::kImportOrExportElementAccessed);
    EXPECT_EQ(move(kDoor + 1, kSlot + 3).status, Status::kGood);
    changer->put_in(kDrive, cartridge(8), note);
    EXPECT_TRUE(result->has_value());
    EXPECT_EQ(test_unit_ready(0).sense_code(), SenseCode::kNotReadyToReadyChange);
    expect_sense(execute({0, 0, 0, 0, 0, 0}), SenseKey::kUnitAttention, SenseCode::kNotReadyToReadyChange);
    changer->take_out(kDrive, note);
    EXPECT_TRUE(result->has_value());
    EXPECT_EQ(drives[0]->cartridge(), nullptr);
    EXPECT_EQ(changer->inventory().outside, std::vector<std::string>{"A00008L5"});
    changer->put_in(kDoor, cartridge(8), note);
    EXPECT_TRUE(changer->inventory().outside.empty());
    changer->put_in(kDoor + 1, cartridge(7), note);
    EXPECT_EQ(result->error(), "cartridge A00007L5: is in element 1027 already");
    changer->put_in(kSlot + 3, cartridge(9), note);
    EXPECT_FALSE(result->has_value());
    changer->take_out(kSlot, note);
    EXPECT_EQ(result->error(), "element 1024: has no door");
    while (changer->server().attentions().take(nexus.name)) continue;
    EXPECT_EQ(execute({0x1E, 0, 0, 0, 1, 0}).status, Status::kGood);
    changer->take_out(kDoor, note);
    EXPECT_EQ(result->error(), "element 16: an initiator prevents it");
}

TEST_F(Changer, ElementStatusIsWhatMtxReads) {
    move(kSlot + 1, kDrive + 1);
    const TestTask& header = execute({0xB8, 0x10, 0, 0, 0xFF, 0xFF, 0, 0, 0, 8, 0, 0});
    ASSERT_EQ(header.received().size(), 8u);
    EXPECT_EQ(load_number(header.received().first(2)), LibraryGeometry::kRobot);
    EXPECT_EQ(load_number(header.received().subspan(2, 2)), 1u + 4 + 2 + 2);
    const std::uint64_t available = load_number(header.received().subspan(5, 3));
    EXPECT_EQ(available, 4u * 8 + 9 * 52);
    const TestTask& all = execute({0xB8, 0x10, 0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF, 0, 0});
    ASSERT_EQ(all.received().size(), 8 + available);

    const TestTask& drive = execute({0xB8, 0x14, 1, 1, 0, 1, 0x01, 0, 0xFF, 0xFF, 0, 0});
    const auto data = drive.received();
    ASSERT_EQ(data.size(), 8u + 8 + 52 + 14);
    EXPECT_EQ(data[8], 4);
    EXPECT_EQ(data[9], 0x80);
    EXPECT_EQ(load_number(data.subspan(10, 2)), 66u);
    EXPECT_EQ(load_number(data.subspan(13, 3)), 66u);
    const auto descriptor = data.subspan(16);
    EXPECT_EQ(load_number(descriptor.first(2)), kDrive + 1u);
    EXPECT_EQ(descriptor[2], 0x09); // full, accessible
    EXPECT_EQ(descriptor[9], 0x81);
    EXPECT_EQ(load_number(descriptor.subspan(10, 2)), kSlot + 1u);
    EXPECT_EQ(std::string(descriptor.begin() + 12, descriptor.begin() + 44), "A00001L5                        ");
    EXPECT_EQ(descriptor[48], 0x02);
    EXPECT_EQ(descriptor[49], 0x01);
    EXPECT_EQ(descriptor[51], 14);
    EXPECT_EQ(std::string(descriptor.begin() + 52, descriptor.end()), "TOUKA   DRIVE1");
}

TEST_F(Changer, ALunInByte1IsNotLookedAt) {
    EXPECT_EQ(execute({0xB8, 0x34, 1, 0, 0, 1, 0, 0, 0xFF, 0xFF, 0, 0}).received().size(), 16u + 52);
    EXPECT_EQ(execute({0xA5, 0x20, 0, 1, 4, 0, 4, 3, 0, 0, 0, 0}).status, Status::kGood);
}

TEST_F(Changer, ElementStatusHasWholeDescriptorsOnly) {
    const TestTask& task = execute({0xB8, 0x02, 0, 0, 0xFF, 0xFF, 0, 0, 0, 60, 0, 0});
    EXPECT_EQ(task.received().size(), 16u + 2 * 16);
    EXPECT_EQ(load_number(task.received().subspan(5, 3)), 8u + 4 * 16);
    EXPECT_EQ(execute({0xB8, 0x02, 0xFF, 0, 0, 5, 0, 0, 0, 60, 0, 0}).received().size(), 8u);
    EXPECT_EQ(execute({0xB8, 0x05, 0, 0, 0, 5, 0, 0, 0, 60, 0, 0}).status, Status::kCheckCondition);
    EXPECT_EQ(execute({0xB8, 0x02, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0}).status, Status::kGood);
    // Three elements from the second drive on: that drive and two slots.
    const TestTask& three = execute({0xB8, 0x00, 1, 1, 0, 3, 0, 0, 0xFF, 0xFF, 0, 0});
    EXPECT_EQ(load_number(three.received().subspan(2, 2)), 3u);
    EXPECT_EQ(three.received()[8], 4);
    EXPECT_EQ(three.received()[8 + 8 + 16], 2);
}

TEST_F(Changer, ModePagesTellAddressesAndCapabilities) {
    const TestTask& addresses = execute({0x1A, 0x08, 0x1D, 0, 136, 0});
    const auto page = addresses.received().subspan(4);
    EXPECT_EQ(Bytes(page.begin(), page.end()),
              (Bytes{0x1D, 18, 0, 1, 0, 1, 4, 0, 0, 4, 0, 0x10, 0, 2, 1, 0, 0, 2, 0, 0}));
    const TestTask& capabilities = execute({0x1A, 0x08, 0x1F, 0, 136, 0});
    EXPECT_EQ(capabilities.received().size(), 4u + 20);
    EXPECT_EQ(capabilities.received()[4 + 5], 0x0E);
    EXPECT_EQ(execute({0x1A, 0x08, 0x1E, 0, 136, 0}).received().size(), 4u + 4);
}

TEST_F(Changer, LooksAtItsElementsWithoutMovingAnything) {
    EXPECT_EQ(execute({0x07, 0, 0, 0, 0, 0}).status, Status::kGood);
    EXPECT_EQ(execute({0x37, 1, 4, 0, 0, 0, 0, 2, 0, 0}).status, Status::kGood);
    expect_refused(execute({0x37, 1, 9, 0, 0, 0, 0, 2, 0, 0}), SenseCode::kInvalidElementAddress);
    EXPECT_EQ(execute({0x2B, 0, 0, 1, 4, 3, 0, 0, 0, 0}).status, Status::kGood);
    expect_refused(execute({0x2B, 0, 0, 1, 4, 4, 0, 0, 0, 0}), SenseCode::kInvalidElementAddress);
}

} // namespace
} // namespace touka::scsi
