#include "scsi/disk/capacity.hpp"

#include <algorithm>
#include <bit>

#include "scsi/disk/protected_disk.hpp"
#include "scsi/parameter_data.hpp"

namespace touka::scsi {

using namespace spec::scsi;

namespace {

void read_capacity10(DiskCore& core, Task& task) {
    if (task.cdb.number(2, 4) != 0) return core.server.check(task, Sense::invalid_field_in_cdb(2)); // PMI is gone
    const std::uint64_t last_lba = std::min<std::uint64_t>(core.block_count - 1, 0xFFFF'FFFF);
    const auto data = ParameterData().number(last_lba, 4).number(core.block_bytes, 4).take();
    core.server.reply(task, data, data.size());
}

void read_capacity16(DiskCore& core, bool thin, Task& task) {
    constexpr std::uint8_t kThin = 0x80, kReadsZeros = 0x40;
    ParameterData data;
    const auto type =
        static_cast<unsigned>(core.protection != nullptr ? core.protection->type() : ProtectionType::kNone);
    const unsigned protection = type == 0 ? 0 : (type - 1) << 1 | 1; // P_TYPE, PROT_EN
    data.number(core.block_count - 1, 8).number(core.block_bytes, 4).byte(protection);
    data.byte(std::bit_width(core.blocks_per_physical()) - 1u).byte(thin ? kThin | kReadsZeros : 0).byte(0).zeros(16);
    core.server.reply(task, data.view(), task.cdb.number(10, 4));
}

} // namespace

void add_read_capacity(DiskCore& core, bool thin) {
    using namespace operation;
    core.server.add({.usage = {kReadCapacity10, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0},
                     .reservation = always_allowed,
                     .execute = [&core](Task& task) { read_capacity10(core, task); }});
    core.server.add({.service_action = service_action::kReadCapacity16,
                     .usage = {kServiceActionIn16, 0x1F, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0},
                     .reservation = always_allowed,
                     .execute = [&core, thin](Task& task) { read_capacity16(core, thin, task); }});
}

} // namespace touka::scsi
