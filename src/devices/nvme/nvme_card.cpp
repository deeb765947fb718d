#include "devices/nvme/nvme_card.hpp"

#include <fmt/format.h>

#include "spec/nvme/virtualization.hpp"

namespace touka::devices::nvme {

namespace {

class PhysicalFunction final : public NvmePciFunction {
public:
    PhysicalFunction(std::string name, Subsystem& subsystem, const NvmePciConfiguration& configuration,
                     const NvmePciContext& context, platform::VirtualFunctions* virtual_functions)
        : NvmePciFunction(std::move(name), subsystem, configuration, context) {
        add_alternative_routing_id();
        if (virtual_functions != nullptr) add_sriov(kVirtualDeviceId, *virtual_functions);
        if (context.translation != nullptr) add_address_translation_services(false, *context.translation);
    }
    ~PhysicalFunction() override { detach(); }
};

class VirtualFunction final : public NvmePciFunction {
public:
    VirtualFunction(std::string name, Subsystem& subsystem, const NvmePciConfiguration& configuration,
                    const NvmePciContext& context)
        : NvmePciFunction(std::move(name), subsystem, configuration, context) {
        add_alternative_routing_id();
        if (context.translation != nullptr) add_address_translation_services(true, *context.translation);
    }
    ~VirtualFunction() override { detach(); }
};

/// Identify names the vendor of the function's configuration space. (NVM Express Base 2.0 figure 275)
SubsystemConfiguration subsystem_of(const NvmeCardConfiguration& card) {
    SubsystemConfiguration configuration = card.subsystem;
    configuration.vendor_id = configuration.subsystem_vendor_id = kVendorId;
    configuration.name = card.name + ".subsystem";
    return configuration;
}

NvmePciConfiguration configuration_of(std::uint16_t controller, bool is_virtual) {
    NvmePciConfiguration configuration;
    configuration.controller = {.id = controller,
                                .queue_pairs = NvmeCard::kQueuesPerFunction,
                                .vectors = NvmeCard::kVectorsPerFunction,
                                .virtual_function = is_virtual};
    if (is_virtual) configuration.identity.device_id = kVirtualDeviceId;
    return configuration;
}

} // namespace

NvmeCard::NvmeCard(const NvmeCardConfiguration& configuration,
                   const std::function<NvmePciContext(std::uint16_t)>& context)
    : subsystem_(subsystem_of(configuration)) {
    for (const NamespaceConfiguration& each : configuration.namespaces) (void)subsystem_.add_namespace(each);
    const std::uint16_t count = configuration.virtual_functions;
    const VirtualResources::Counts own{kQueuesPerFunction, kVectorsPerFunction};
    if (count > 0) {
        const VirtualResources::Counts flexible{static_cast<std::uint16_t>(count * kQueuesPerFunction),
                                                static_cast<std::uint16_t>(count * kVectorsPerFunction)};
        subsystem_.add_primary(kPrimaryController, own, flexible, own);
    }
    for (std::uint16_t number = 1; number <= count; ++number) {
        VirtualResources::Secondary secondary{.id = number, .virtual_function = number};
        if (configuration.separate) secondary.assigned = own, secondary.online = true;
        subsystem_.add_secondary(kPrimaryController, secondary);
        virtual_.push_back(std::make_unique<VirtualFunction>(fmt::format("{}.{}", configuration.name, number),
                                                             subsystem_, configuration_of(number, true),
                                                             context(number)));
    }
    platform::VirtualFunctions* const on_its_bus = count > 0 && !configuration.separate ? this : nullptr;
    physical_ = std::make_unique<PhysicalFunction>(configuration.name + ".0", subsystem_,
                                                   configuration_of(kPrimaryController, false), context(0), on_its_bus);
}

std::vector<platform::Device*> NvmeCard::devices() {
    std::vector<platform::Device*> all{&subsystem_, physical_.get()};
    for (const auto& function : virtual_) all.push_back(function.get());
    return all;
}

void NvmeCard::enabled(std::uint16_t count) {
    // What is not on the bus any more cannot be online, and gives its resources back. (NVM Express Base 2.0 §8.26.3)
    for (auto number = static_cast<std::uint16_t>(count + 1); number <= total(); ++number) {
        (void)subsystem_.manage(kPrimaryController, spec::nvme::kSecondaryOffline, 0, number, 0);
    }
}

} // namespace touka::devices::nvme
