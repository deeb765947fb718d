#include "platform/pci/msi_capability.hpp"

#include <utility>

#include "spec/pci/message_signalled.hpp"

namespace touka::platform {

using namespace spec::pci;

namespace {

// A 64-bit address moves what follows it by 4.
constexpr std::uint32_t kData = kMsiDataOffset + 4, kMask = kMsiMaskOffset + 4, kPending = kMsiPendingOffset + 4;

} // namespace

MsiCapability::MsiCapability(ConfigSpace& config, std::uint32_t at, MsiSink& sink)
    : config_(config), at_(at), sink_(sink) {
    MsiControl control;
    control.set(msi_control::ADDRESS_64, true).set(msi_control::PER_VECTOR_MASKING, true);
    config_.define(at_ + kMsiControlOffset, 2, control.raw, msi_control::kWritable);
    config_.define(at_ + kMsiAddressOffset, 8, 0, ~std::uint64_t{3});
    config_.define(at_ + kData, 2, 0, 0xFFFF);
    config_.define(at_ + kMask, 4, 0, 1);
    config_.define(at_ + kPending, 4, 0);
}

bool MsiCapability::enabled() const {
    const MsiControl control{static_cast<std::uint16_t>(config_.read(at_ + kMsiControlOffset, 2))};
    return control.get(msi_control::MSI_ENABLE);
}

bool MsiCapability::sends(bool wanted, bool bus_master) {
    const bool masked = (config_.read(at_ + kMask, 4) & 1) != 0;
    config_.set(at_ + kPending, 4, enabled() && wanted && masked ? 1 : 0);
    return enabled() && wanted && bus_master && !masked;
}

void MsiCapability::update(bool wanted, bool bus_master) {
    const bool sent = sends(wanted, bus_master);
    if (std::exchange(was_sent_, sent) || !sent) return;
    sink_.send({.address = config_.read(at_ + kMsiAddressOffset, 8),
                .data = static_cast<std::uint32_t>(config_.read(at_ + kData, 2))});
}

void MsiCapability::registers_replaced(bool wanted, bool bus_master) { was_sent_ = sends(wanted, bus_master); }

} // namespace touka::platform
