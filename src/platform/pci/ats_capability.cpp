#include "platform/pci/ats_capability.hpp"

#include "spec/pci/extended_capability.hpp"

namespace touka::platform {

using namespace spec::pci;

AtsCapability::AtsCapability(ConfigSpace& config, std::uint32_t at, bool virtual_function,
                             TranslationServices& services)
    : config_(config), at_(at), services_(services) {
    // The queue depth of 0 means 32 invalidations, of a virtual function that they count for the physical one's.
    config_.define(at + kAtsCapabilityOffset, 2, kAtsPageAlignedRequest);
    config_.define(at + kAtsControlOffset, 2, 0, virtual_function ? kAtsEnable : kAtsControlWritable);
}

bool AtsCapability::enabled() const { return (config_.read(at_ + kAtsControlOffset, 2) & kAtsEnable) != 0; }

void AtsCapability::written(std::uint32_t at, unsigned width_bytes) {
    const std::uint32_t control = at_ + kAtsControlOffset;
    if (at >= control + 2 || at + width_bytes <= control) return;
    told_ = enabled();
    services_.set_enabled(told_);
}

void AtsCapability::update() {
    if (told_ == enabled()) return;
    told_ = enabled();
    services_.set_enabled(told_);
}

} // namespace touka::platform
