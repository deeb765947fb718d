#include "platform/pci/sriov_capability.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "platform/pci/pci_bus.hpp"
#include "platform/pci/pci_function.hpp"
#include "spec/pci/extended_capability.hpp"

namespace touka::platform {

using namespace spec::pci;

namespace {

constexpr std::uint16_t kFirstVfOffset = 1, kVfStride = 1;
constexpr unsigned kFunctionLimit = 256;

} // namespace

SriovCapability::SriovCapability(ConfigSpace& config, std::uint32_t at, std::uint16_t vf_device_id,
                                 VirtualFunctions& functions)
    : config_(config), at_(at), functions_(functions) {
    const std::uint16_t total = functions.total();
    config_.define(at + kSriovControlOffset, 2, 0, sriov_control::kWritable);
    config_.define(at + kInitialVfsOffset, 2, total);
    config_.define(at + kTotalVfsOffset, 2, total);
    config_.define(at + kNumVfsOffset, 2, 0, 0xFFFF);
    config_.define(at + kFirstVfOffsetOffset, 2, kFirstVfOffset);
    config_.define(at + kVfStrideOffset, 2, kVfStride);
    config_.define(at + kVfDeviceIdOffset, 2, vf_device_id);
    config_.define(at + kSupportedPageSizesOffset, 4, kSupportedPageSizes);
    config_.define(at + kSystemPageSizeOffset, 4, kPageSize4k, kSupportedPageSizes);
    for (std::uint16_t i = 0; i < total; ++i) functions.function(i).become_virtual();
    for (unsigned i = 0; i < kBarCount; ++i) {
        if (pattern().bars()[i].length_bytes != 0) place_bar(i, 0);
    }
}

std::uint64_t SriovCapability::bar_bytes(unsigned index) const {
    const std::uint64_t length = pattern().bars()[index].length_bytes;
    if (length == 0) return 0;
    // The largest size that is set: software sets one.
    const auto pages = static_cast<std::uint32_t>(config_.read(at_ + kSystemPageSizeOffset, 4));
    const unsigned shift = pages == 0 ? 12 : 12 + (31 - static_cast<unsigned>(std::countl_zero(pages)));
    return std::max(length, std::uint64_t{1} << shift);
}

std::uint64_t SriovCapability::bar_space_bytes(unsigned index) const {
    return std::bit_ceil(bar_bytes(index) * functions_.total());
}

void SriovCapability::place_bar(unsigned index, std::uint64_t address) {
    reset_addresses_[index] = address;
    const BarKind kind = pattern().bars()[index].kind;
    config_.define(at_ + kVfBar0Offset + 4 * index, is_64_bit(kind) ? 8 : 4,
                   (address & ~(bar_bytes(index) - 1)) | bar_type_bits(kind), ~(bar_bytes(index) - 1));
}

/// A BAR shows the size of one function, which is at least a page. (§9.3.3.14)
void SriovCapability::follow_page_size() {
    const auto pages = static_cast<std::uint32_t>(config_.read(at_ + kSystemPageSizeOffset, 4));
    if (std::exchange(page_size_, pages) == pages) return;
    for (unsigned i = 0; i < kBarCount; ++i) {
        if (bar_bytes(i) == 0) continue;
        const std::uint32_t at = at_ + kVfBar0Offset + 4 * i;
        const unsigned width_bytes = is_64_bit(pattern().bars()[i].kind) ? 8 : 4;
        const std::uint64_t address = config_.read(at, width_bytes);
        place_bar(i, reset_addresses_[i]);
        config_.write(at, width_bytes, address);
    }
}

std::optional<std::uint64_t> SriovCapability::bar_address(unsigned index, std::uint16_t function) const {
    const SriovControl control{static_cast<std::uint16_t>(config_.read(at_ + kSriovControlOffset, 2))};
    const std::uint64_t length = bar_bytes(index);
    if (!control.get(sriov_control::VF_MSE) || length == 0) return std::nullopt;
    const bool wide = is_64_bit(pattern().bars()[index].kind);
    const std::uint64_t base = config_.read(at_ + kVfBar0Offset + 4 * index, wide ? 8 : 4) & ~(length - 1);
    if (base == 0) return std::nullopt;
    return base + length * function;
}

void SriovCapability::update(PciBus* bus, std::uint8_t devfn) {
    follow_page_size();
    const SriovControl control{static_cast<std::uint16_t>(config_.read(at_ + kSriovControlOffset, 2))};
    const auto wanted = static_cast<std::uint16_t>(config_.read(at_ + kNumVfsOffset, 2));
    const bool enabled = bus != nullptr && control.get(sriov_control::VF_ENABLE);
    if (count_ > 0 && !enabled) disable();
    // NumVFs is looked at only when they come into being: what it says later has no effect. (§9.3.3.7)
    if (count_ == 0 && enabled && wanted <= functions_.total()) enable(*bus, devfn, wanted);
    for (std::uint16_t i = 0; i < count_; ++i) {
        for (unsigned bar = 0; bar < kBarCount; ++bar) {
            functions_.function(i).move_virtual_bar(bar, bar_address(bar, i));
        }
    }
}

void SriovCapability::enable(PciBus& bus, std::uint8_t devfn, std::uint16_t count) {
    const unsigned first = devfn + kFirstVfOffset;
    for (std::uint16_t i = 0; i < count && first + i * kVfStride < kFunctionLimit; ++i) {
        if (!bus.plug(static_cast<std::uint8_t>(first + i * kVfStride), functions_.function(i))) break;
        ++count_;
    }
    bus_ = &bus;
    first_devfn_ = static_cast<std::uint8_t>(first);
    functions_.enabled(count_);
}

void SriovCapability::disable() {
    for (std::uint16_t i = 0; i < count_; ++i) {
        functions_.function(i).bus_reset(); // what it does is over before its place is gone
        bus_->unplug(static_cast<std::uint8_t>(first_devfn_ + i * kVfStride));
    }
    count_ = 0;
    bus_ = nullptr;
    functions_.enabled(0);
}

} // namespace touka::platform
