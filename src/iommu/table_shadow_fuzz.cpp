// Any tables, changed and told of in any order: the input is memory with tables in it, and then steps. What the device
// has in the end, and where it was told, is what a walk of each page says.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "iommu/table_shadow.hpp"
#include "iommu/test_sink.hpp"
#include "iommu/unit_options.hpp"

using namespace touka;
using namespace touka::iommu;

namespace {

constexpr std::uint64_t kRamBytes = 1 << 20, kTableBytes = 32 << 10; // what the input fills
constexpr std::size_t kLimit = 600;
constexpr int kPagesToCompare = 4096;

class Bench {
public:
    Bench(const std::uint8_t* data, std::size_t size) {
        std::memset(ram_->base(), 0, kTableBytes);
        std::memcpy(ram_->base(), data, std::min<std::size_t>(size, kTableBytes));
    }
    void store(std::uint64_t word, std::uint64_t value) {
        std::memcpy(ram_->base() + word % (kTableBytes / 8) * 8, &value, sizeof value);
    }
    void another_table(std::uint64_t value) {
        context_.levels = value % 2 == 0 ? 3 : 4;
        context_.table = value / 2 % 8 * 4096;
        update({}, TableShadow::Joining::kGreatRuns);
    }
    void update(const Extent& extent, TableShadow::Joining joining) {
        const auto scan =
            scan_table(walker_, *ram_, context_, shadow_.whole_pages(extent), {.mappings = kLimit, .tables = 256});
        const bool complete = !shadow_.update(scan, joining);
        if (sink_.all.size() > kLimit) std::abort();
        compare(scan.extent, complete);
    }

private:
    /// What a walk says of an address, or all ones. @param step_bytes how far it says so.
    [[nodiscard]] std::uint64_t walked(std::uint64_t address, std::uint64_t& step_bytes) const {
        step_bytes = 4096;
        if (in_interrupt_range(address)) return ~std::uint64_t{0};
        const auto found = walker_.walk(context_, address);
        if (!found) return ~std::uint64_t{0};
        const std::uint64_t within = address & ((std::uint64_t{1} << found->shift) - 1);
        if (!found->read && !found->write) {
            step_bytes = (std::uint64_t{1} << found->shift) - within;
            return ~std::uint64_t{0};
        }
        const std::uint64_t guest = found->page + within;
        return ram_->is_ram(memory::GuestAddress{guest}) ? guest : ~std::uint64_t{0};
    }
    void compare(const Extent& extent, bool complete) {
        const std::uint64_t end = std::uint64_t{1} << context_.address_width();
        std::uint64_t address = extent.first & ~std::uint64_t{4095};
        for (int i = 0; i < kPagesToCompare && address < end && address <= extent.last; ++i) {
            std::uint64_t step_bytes = 0;
            const std::uint64_t wanted = walked(address, step_bytes), there = sink_.guest_of(address);
            if (wanted != there && (complete || there != ~std::uint64_t{0})) std::abort();
            address = (address + step_bytes) & ~std::uint64_t{4095};
        }
        // And what is there is right, with its permissions.
        int budget = kPagesToCompare;
        for (const auto& [iova, mapping] : sink_.all) {
            for (std::uint64_t at = iova; at <= mapping.last() && budget-- > 0; at += 4096) {
                if (at < extent.first || at > extent.last) continue;
                std::uint64_t step_bytes = 0;
                const auto found = walker_.walk(context_, at);
                if (walked(at, step_bytes) != mapping.guest + (at - iova)) std::abort();
                if (found->read != mapping.read || found->write != mapping.write) std::abort();
            }
        }
    }

    std::unique_ptr<memory::GuestMemory> ram_ = memory::GuestMemory::create(kRamBytes).value();
    TableWalker walker_{*ram_, 46};
    RecordingSink sink_;
    TableShadow shadow_{sink_, kLimit};
    Context context_{.levels = 4, .table = 0};
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Bench bench(data, size);
    const std::size_t tables = std::min<std::size_t>(size, kTableBytes);
    data += tables;
    size -= tables;
    bench.update({}, TableShadow::Joining::kGreatRuns);
    for (; size >= 11; data += 11, size -= 11) {
        std::uint64_t value = 0;
        std::uint16_t place = 0;
        std::memcpy(&value, data + 1, sizeof value);
        std::memcpy(&place, data + 9, sizeof place);
        switch (data[0] % 4) {
            case 0: bench.store(place, value); break;
            case 1: // pages, as an invalidation names them
                bench.update(extent({.cache = Invalidation::Cache::kIotlb,
                                     .granularity = spec::vtd::Granularity::kSelective,
                                     .requester = {},
                                     .address = value & ~std::uint64_t{0xFFF},
                                     .address_mask = static_cast<std::uint8_t>(place % (kGreatestAddressMask + 1))}),
                             TableShadow::Joining::kAll);
                break;
            case 2: bench.update({}, TableShadow::Joining::kGreatRuns); break;
            default: bench.another_table(value); break;
        }
    }
    bench.update({}, TableShadow::Joining::kGreatRuns);
    return 0;
}
