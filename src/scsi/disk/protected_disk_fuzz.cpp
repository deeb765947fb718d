// A disk with protection information and a journal under any commands: each completes, nothing leaves the volumes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "scsi/disk/disk_unit.hpp"
#include "scsi/test_task.hpp"
#include "storage/memory_volume.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace touka;
    using namespace touka::scsi;
    if (size < 1) return 0;
    constexpr std::uint64_t kDiskBytes = 128 << 10;
    storage::MemoryVolume disk(kDiskBytes), journal(AtomicJournal::kSlotBytes),
        side(ProtectionStore::file_bytes(kDiskBytes / 512));
    DiskOptions options;
    options.identity.serial = "1";
    options.atomic_journal = &journal;
    options.protection = &side;
    options.protection_type = static_cast<ProtectionType>(data[0] % 4);
    DiskUnit unit(disk, std::move(options));
    Nexus nexus;
    unit.unit().attach(nexus);
    // Each command: how much data follows what it is, what the data are, the CDB.
    for (std::size_t at = 1, count = 0; at + 18 <= size && count < 64; ++count) {
        const std::size_t length = data[at + 2] == 0x7F ? 32 : 16;
        if (at + 2 + length > size) break;
        const std::size_t blocks = data[at] % 40;
        std::vector<std::uint8_t> sent(blocks * (data[at] < 128 ? 512 : 520));
        for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = data[(at + 1 + i % 520) % size];
        TestTask task(nexus, std::vector<std::uint8_t>(data + at + 2, data + at + 2 + length), std::move(sent),
                      std::size_t{data[at + 1]} * 512);
        unit.unit().submit(task);
        unit.unit().commit();
        if (!task.completed()) std::abort();
        if (task.data_in_bytes > task.data_in_limit_bytes) std::abort();
        at += 2 + length;
    }
    return 0;
}
