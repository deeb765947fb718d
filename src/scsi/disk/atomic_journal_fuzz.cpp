// A journal file with anything in it: what is found there never goes beyond the disk, and a slot is clear afterwards.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "scsi/disk/atomic_journal.hpp"
#include "scsi/disk/crc.hpp"
#include "scsi/disk/job.hpp"
#include "storage/memory_volume.hpp"

namespace {

touka::scsi::Job recover(touka::scsi::AtomicJournal& journal) {
    auto recovering = journal.recover();
    (void)co_await recovering;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace touka;
    using scsi::AtomicJournal;
    storage::MemoryVolume file(AtomicJournal::kSlotBytes), disk(1 << 20), side(16 << 10);
    auto* const bytes = reinterpret_cast<std::uint8_t*>(file.bytes.data());
    std::copy_n(data, std::min<std::size_t>(size, file.bytes.size()), bytes);
    // Most inputs should get past the checks: make them right where the first byte is odd.
    if (size > 0 && data[0] % 2 != 0) {
        spec::scsi::store_number({bytes, 8}, 0x544F'554B'4141'544D);
        spec::scsi::store_number({bytes + 8, 8}, 1);
        spec::scsi::store_number({bytes + 24, 8}, 77);
        spec::scsi::store_number({bytes + 32, 8}, disk.bytes.size());
        const std::uint64_t length = spec::scsi::load_number({bytes + 64, 8});
        if (length <= 4096) {
            spec::scsi::store_number({bytes + 40, 8}, scsi::Crc64::of({bytes + AtomicJournal::kHeaderBytes, length}));
        }
        spec::scsi::store_number({bytes + 96, 8}, scsi::Crc64::of({bytes, 96}));
    }
    AtomicJournal journal(file, disk, &side, 77);
    recover(journal);
    if (journal.state() == AtomicJournal::State::kRecovering) std::abort();
    if (journal.state() == AtomicJournal::State::kReady && spec::scsi::load_number({bytes, 8}) != 0) std::abort();
    return 0;
}
