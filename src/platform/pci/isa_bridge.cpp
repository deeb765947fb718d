#include "platform/pci/isa_bridge.hpp"

#include "spec/pci/q35.hpp"

namespace touka::platform {

using namespace spec::pci;

IsaBridge::IsaBridge()
    : PciFunction("isa-bridge@00:1f.0", PciIdentity{.vendor_id = kVendorIntel,
                                                    .device_id = kIch9Lpc,
                                                    .revision_id = 2,
                                                    .class_code = class_code::kIsaBridge}) {
    config().define(kPmbaseOffset, 4, kPmBase | kPmbaseIoSpace);
    config().define(kAcpiControlOffset, 1, kAcpiEnable);
    for (std::uint32_t i = 0; i < 4; ++i) {
        config().define(kPirqAToDOffset + i, 1, kPirqNotRouted, kPirqWritable);
        config().define(kPirqEToHOffset + i, 1, kPirqNotRouted, kPirqWritable);
    }
}

migration::Record IsaBridge::save() const { return migration::save_record(std::string(name()), save_function()); }

std::expected<void, migration::RestoreError> IsaBridge::restore(const migration::Record& record) {
    const auto state = migration::load_record<PciFunctionState>(record);
    if (!state) return std::unexpected(state.error());
    return restore_function(*state);
}

} // namespace touka::platform
