// The BARs of a passed-through function: what they are, accesses to them, and what of them is mapped.
#include <algorithm>
#include <bit>
#include <cstring>

#include "devices/passthrough/passthrough_function.hpp"
#include "spec/pci/capability.hpp"

namespace touka::devices::passthrough {

using namespace spec::pci;
using namespace spec::vfio;

namespace {

constexpr std::uint64_t kSmallestBarBytes = 16, kLargestBarBytes = std::uint64_t{1} << 46;
/// Half of all. Devices have 256 at most (PCI Local Bus 3.0 §6.2.5.1), and some that no wire ends at have more.
constexpr std::uint64_t kMostPorts = 0x8000;

std::uint32_t load4(std::span<const std::uint8_t> bytes, std::uint32_t offset) {
    std::uint32_t value = 0;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

} // namespace

std::expected<void, std::string> PassthroughFunction::define_bars(std::span<const std::uint8_t> device) {
    for (std::uint32_t i = 0; i < kBarCount; ++i) {
        const std::uint64_t bytes = transport_.region_bytes(i);
        if (bytes == 0) continue;
        const std::uint32_t type = load4(device, offset::kBar0 + 4 * i);
        const bool ports = (type & kBarIoSpace) != 0, wide = !ports && (type & kBarMemory64) != 0;
        if (bytes > kLargestBarBytes) return std::unexpected("a BAR of an impossible size");
        if (ports && bytes > kMostPorts) return std::unexpected("a BAR of more ports than a machine has room for");
        if (!wide && bytes > (std::uint64_t{1} << 31)) return std::unexpected("a BAR too large for 32 bits");
        if (wide && (i + 1 == kBarCount || transport_.region_bytes(i + 1) != 0)) {
            return std::unexpected("a 64-bit BAR without its second half");
        }
        auto kind = platform::BarKind::kMemory32;
        if (ports) kind = platform::BarKind::kPorts;
        if (wide) {
            kind = (type & kBarPrefetchable) != 0 ? platform::BarKind::kMemory64Prefetchable
                                                  : platform::BarKind::kMemory64;
        }
        handlers_[i].function = this;
        handlers_[i].index = i;
        // What a BAR decodes is a power of two. Regions need not be: behind their end is nothing.
        define_bar(i, kind, std::max(std::bit_ceil(bytes), kSmallestBarBytes), handlers_[i]);
    }
    return {};
}

std::expected<void, std::string> PassthroughFunction::define_msix(std::span<const std::uint8_t> device) {
    const std::uint32_t vectors = transport_.interrupts(VFIO_PCI_MSIX_IRQ_INDEX).count;
    if (places_.msix == 0 || vectors == 0) return {};
    const MsixControl control{static_cast<std::uint16_t>(load4(device, places_.msix) >> 16)};
    const std::uint32_t shown = control.get(msix_control::TABLE_SIZE) + 1u;
    if (shown > vectors) return std::unexpected("an MSI-X table of more vectors than the device has");
    const auto window = [&](std::uint32_t at, std::uint64_t bytes) {
        const std::uint32_t place = load4(device, places_.msix + at);
        return Window{place & 7, place & ~7u, bytes};
    };
    table_window_ = window(kMsixTableOffset, std::uint64_t{shown} * kMsixEntryBytes);
    pending_window_ = window(kMsixPbaOffset, std::uint64_t{(shown + 63) / 64} * 8);
    for (const Window& each : {table_window_, pending_window_}) {
        const std::uint64_t bytes = each.bar < kBarCount ? transport_.region_bytes(each.bar) : 0;
        if (each.offset > bytes || each.length_bytes > bytes - each.offset) {
            return std::unexpected("an MSI-X table outside of its BAR");
        }
    }
    table_ = std::make_unique<platform::MsixTable>(shown, sink_);
    table_->follow(*this);
    for (const Window& each : {table_window_, pending_window_}) {
        mappings_.exclude(each.bar, {each.offset, each.length_bytes});
    }
    return {};
}

std::uint64_t PassthroughFunction::read_bar(std::uint32_t index, std::uint64_t at, unsigned width_bytes) {
    if (!present()) {
        notice_absence();
        return ~std::uint64_t{0};
    }
    if (table_window_.holds(index, at, width_bytes)) return table_->read(at - table_window_.offset, width_bytes);
    if (pending_window_.holds(index, at, width_bytes)) {
        return table_->read(table_->pba_offset() + (at - pending_window_.offset), width_bytes);
    }
    if (at + width_bytes > transport_.region_bytes(index)) return ~std::uint64_t{0};
    if (const auto value = mappings_.read(index, at, width_bytes)) {
        direct_.fetch_add(1, std::memory_order_relaxed);
        return *value;
    }
    forwarded_.fetch_add(1, std::memory_order_relaxed);
    std::uint64_t value = 0;
    const auto result = transport_.read(index, at, std::as_writable_bytes(std::span(&value, 1)).first(width_bytes));
    note(result);
    end_intx();
    return result ? value : ~std::uint64_t{0};
}

void PassthroughFunction::write_bar(std::uint32_t index, std::uint64_t at, unsigned width_bytes, std::uint64_t value) {
    if (!present() || pending_window_.holds(index, at, width_bytes)) return;
    if (table_window_.holds(index, at, width_bytes)) {
        return write_msix_table(at - table_window_.offset, width_bytes, value);
    }
    if (at + width_bytes > transport_.region_bytes(index)) return;
    if (mappings_.write(index, at, width_bytes, value)) {
        direct_.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    forwarded_.fetch_add(1, std::memory_order_relaxed);
    note(transport_.write(index, at, std::as_bytes(std::span(&value, 1)).first(width_bytes)));
    end_intx();
}

// --- what is mapped ---

bool PassthroughFunction::intx_disabled() const {
    return Command{static_cast<std::uint16_t>(config().read(offset::kCommand, 2))}.get(command::INTERRUPT_DISABLE);
}

bool PassthroughFunction::is_awake() {
    if (places_.power_management == 0) return true;
    std::uint16_t state = 0;
    const auto read = transport_.read(VFIO_PCI_CONFIG_REGION_INDEX, places_.power_management + kPmcsrOffset,
                                      std::as_writable_bytes(std::span(&state, 1)));
    return read && (state & kPmcsrPowerState) == 0;
}

void PassthroughFunction::update_mappings() {
    // An INTx goes down when the guest has accessed a BAR: accesses have to be seen while it may be up.
    const bool uses_intx = signalling_ == Signalling::kIntx && !intx_disabled();
    const bool allowed = present() && awake_ && !uses_intx;
    if (!allowed) mappings_.allow(false);
    for (std::uint32_t i = 0; i < kBarCount; ++i) {
        const bool memory = bars()[i].kind != platform::BarKind::kPorts;
        if ((moved_bars_ >> i & 1) != 0 && memory) mappings_.place(i, bars()[i].mapped_at);
    }
    moved_bars_ = 0;
    if (!allowed) return;
    mappings_.allow(true);
    if (!present()) mappings_.allow(false); // lost in between, when there was nothing to take away
}

PassthroughCounts PassthroughFunction::counts() const {
    return {.forwarded = forwarded_.load(std::memory_order_relaxed),
            .direct = direct_.load(std::memory_order_relaxed),
            .most_mapped_bytes = mappings_.most_mapped_bytes(),
            .raised_interrupts = intx_wire_.raised() + msi_wires_.raised() + msix_wires_.raised(),
            .most_carried_vectors = std::max(msi_wires_.most_carried(), msix_wires_.most_carried())};
}

} // namespace touka::devices::passthrough
