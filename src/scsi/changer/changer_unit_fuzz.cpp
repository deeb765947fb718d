// Initiators that send a media changer and its drives anything: every command is answered once, and no cartridge is
// lost or doubled.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "scsi/changer/changer_unit.hpp"
#include "scsi/tape/memory_tape_file.hpp"
#include "scsi/tape/test_worker.hpp"
#include "scsi/test_task.hpp"

namespace {

using namespace touka::scsi;

constexpr std::size_t kCommandBytes = 18, kCommandLimit = 200;

/// A file system that is full from time to time.
class FuzzStore final : public InventoryStore {
public:
    explicit FuzzStore(const std::uint8_t& mood) : mood_(mood) {}
    [[nodiscard]] std::expected<void, std::string> save(const Inventory&) override {
        if ((mood_ & 1) != 0) return std::unexpected("full");
        return {};
    }

private:
    const std::uint8_t& mood_;
};

void require(bool condition) {
    if (!condition) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::vector<std::unique_ptr<TapeUnit>> drives;
    drives.reserve(2);
    for (int i = 0; i < 2; ++i) {
        drives.push_back(std::make_unique<TapeUnit>(
            std::make_unique<TestWorker>(), TapeUnit::Configuration{},
            [](const Cartridge&) -> std::expected<std::unique_ptr<TapeFile>, std::string> {
                return std::make_unique<MemoryTapeFile>(std::make_shared<MemoryTapeFile::Contents>());
            }));
    }
    Inventory inventory({.slots = 4, .import_export = 2, .drives = 2});
    for (ElementAddress i = 0; i < 3; ++i) {
        const auto element = static_cast<ElementAddress>(LibraryGeometry::kFirstSlot + i);
        require(
            inventory.put(element, {.cartridge = {.barcode = std::string(1, static_cast<char>('A' + i))}}).has_value());
    }
    std::uint8_t mood = 0;
    ChangerUnit changer(std::make_unique<TestWorker>(), {}, std::move(inventory), std::make_unique<FuzzStore>(mood),
                        {drives[0].get(), drives[1].get()});
    Nexus nexus;
    changer.server().attach(nexus);
    for (const auto& drive : drives) drive->server().attach(nexus);
    for (std::size_t i = 0; i < kCommandLimit && size >= kCommandBytes; ++i) {
        mood = data[0];
        DeviceServer& server = data[0] % 4 == 2   ? drives[0]->server()
                               : data[0] % 4 == 3 ? drives[1]->server()
                                                  : changer.server();
        const std::size_t length = std::min<std::size_t>(data[1], size - kCommandBytes);
        TestTask task(nexus, {data + 2, data + kCommandBytes}, {data + kCommandBytes, data + kCommandBytes + length});
        server.submit(task);
        require(task.completed());
        require(changer.inventory().cartridges().size() == 3);
        for (std::size_t d = 0; d < 2; ++d) {
            const auto* stored =
                changer.inventory().find(static_cast<ElementAddress>(LibraryGeometry::kFirstDrive + d));
            const Cartridge* inside = drives[d]->cartridge();
            require((stored == nullptr) == (inside == nullptr));
            require(inside == nullptr || inside->barcode == stored->cartridge.barcode);
        }
        data += kCommandBytes + length;
        size -= kCommandBytes + length;
    }
    return 0;
}
