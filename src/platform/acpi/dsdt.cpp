#include "platform/acpi/dsdt.hpp"

#include <fmt/format.h>

#include "platform/acpi/aml/resource_template.hpp"
#include "platform/acpi/aml/term.hpp"
#include "platform/acpi/table_builder.hpp"

namespace touka::platform::acpi {
namespace {

using namespace aml;

// ACPI Specification 6.4 table 5.184 and the PNP device ids that it refers to.
constexpr std::string_view kPciExpressRootId = "PNP0A08", kPciRootId = "PNP0A03", kMotherboardId = "PNP0C02",
                           kSerialPortId = "PNP0501", kRtcId = "PNP0B00", kHpetId = "PNP0103";
constexpr std::uint32_t kPciSlotCount = 32, kPciPinCount = 4;
constexpr std::uint64_t kIsaBridgeAddress = 0x001F'0000; // _ADR: device 31, function 0, as on Q35

Term hardware_id(std::string_view id) { return name("_HID", eisa_id(id)); }
Term unique_id(std::uint64_t id) { return name("_UID", integer(id)); }
Term resources(const ResourceTemplate& list) { return name("_CRS", list.build()); }

/// \_SB.Cnnn, one for each processor; MADT names them by the same UID. (§8.4)
std::vector<Term> processors(const PlatformLayout& layout) {
    std::vector<Term> devices;
    devices.reserve(layout.apic_ids.size());
    for (std::size_t uid = 0; uid < layout.apic_ids.size(); ++uid) {
        devices.push_back(device(fmt::format("C{:03X}", uid), {name("_HID", string("ACPI0007")), unique_id(uid)}));
    }
    return devices;
}

/// Every pin of every slot, hard-wired to the I/O APIC. (§6.2.13)
Value interrupt_routing() {
    constexpr std::uint32_t kAllFunctions = 0xFFFF;
    std::vector<Value> entries;
    for (std::uint32_t slot = 0; slot < kPciSlotCount; ++slot) {
        for (std::uint32_t pin = 0; pin < kPciPinCount; ++pin) {
            entries.push_back(package(
                {integer(slot << 16 | kAllFunctions), integer(pin), integer(0), integer(pci_pin_gsi(slot, pin + 1))}));
        }
    }
    return package(entries);
}

/// Hands native hot plug, PME, AER and the capability structures to the system; SHPC and LTR do not exist here.
/// (PCI Firmware Specification 3.3 §4.5.1 and §4.5.2)
Term operating_system_capabilities() {
    constexpr std::string_view kPciHostBridgeUuid = "33DB4D5B-1FF7-401C-9657-7441C03DD766";
    constexpr std::uint64_t kGranted = 0x1D; // control bits 0 hot plug, 2 PME, 3 AER, 4 capability structure
    constexpr std::uint64_t kUnrecognizedUuid = 1u << 2, kUnrecognizedRevision = 1u << 3, kMasked = 1u << 4;
    const auto status = path("CDW1"), control = path("CDW3"), granted = local(0), answer = arg(3);
    return method("_OSC", 4,
                  {
                      create_dword_field(answer, 0, "CDW1"),
                      if_then(equal(arg(0), uuid(kPciHostBridgeUuid)),
                              {
                                  create_dword_field(answer, 8, "CDW3"),
                                  and_into(control, integer(kGranted), granted),
                                  if_then(negate(equal(arg(1), integer(1))),
                                          {or_into(status, integer(kUnrecognizedRevision), status)}),
                                  if_then(negate(equal(control, granted)), {or_into(status, integer(kMasked), status)}),
                                  store(granted, control),
                              }),
                      otherwise({or_into(status, integer(kUnrecognizedUuid), status)}),
                      give_back(answer),
                  });
}

/// ISA devices behind the bridge in slot 31.
Term isa_bridge(const PlatformLayout& layout) {
    std::vector<Term> devices{name("_ADR", integer(kIsaBridgeAddress))};
    for (std::size_t i = 0; i < layout.serial_ports.size(); ++i) {
        const auto& [port, irq] = layout.serial_ports[i];
        devices.push_back(device(fmt::format("COM{}", i + 1), {hardware_id(kSerialPortId), unique_id(i + 1),
                                                               resources(ResourceTemplate{}.io(port, 8).irq(irq))}));
    }
    devices.push_back(device("RTC", {hardware_id(kRtcId), resources(ResourceTemplate{}.io(0x70, 2).irq(8))}));
    return device("ISA", Body(devices));
}

Term pci_root(const PlatformLayout& layout) {
    ResourceTemplate windows;
    windows.bus_numbers(0, static_cast<std::uint16_t>(layout.pci_bus_count() - 1))
        .io(0xCF8, 8)
        .io_window(0x0000, 0x0CF7)
        .io_window(0x0D00, 0xFFFF)
        .memory_window(layout.pci_window_32);
    if (!layout.pci_window_64.empty()) windows.memory_window(layout.pci_window_64);
    return device("PCI0", {hardware_id(kPciExpressRootId), name("_CID", eisa_id(kPciRootId)), unique_id(0),
                           name("_SEG", integer(0)), name("_BBN", integer(0)), resources(windows),
                           name("_PRT", interrupt_routing()), operating_system_capabilities(), isa_bridge(layout)});
}

/// Addresses that belong to no device of their own, so that the system gives them to nobody: ECAM must be here.
/// (PCI Firmware Specification 3.3 §4.1.2)
Term motherboard(const PlatformLayout& layout) {
    constexpr std::uint8_t kPmPortCount = 0x80;
    return device("MBRD", {hardware_id(kMotherboardId), unique_id(0),
                           resources(ResourceTemplate{}.io(layout.pm_base, kPmPortCount).memory_fixed(layout.ecam))});
}

Term hpet(const PlatformLayout& layout) {
    return device(
        "HPET", {hardware_id(kHpetId), unique_id(0), resources(ResourceTemplate{}.memory_fixed({layout.hpet, 0x400}))});
}

/// Soft off: SLP_TYP for PM1a and PM1b. (§7.4.2.6)
Term soft_off(const PlatformLayout& layout) {
    return name("\\_S5", package({integer(layout.s5_sleep_type), integer(0), integer(0), integer(0)}));
}

} // namespace

TableBytes make_dsdt(const PlatformLayout& layout) {
    auto system_bus = processors(layout);
    system_bus.push_back(pci_root(layout));
    system_bus.push_back(motherboard(layout));
    system_bus.push_back(hpet(layout));
    const Body body{scope("\\_SB", Body(system_bus)), soft_off(layout)};
    return TableBuilder({'D', 'S', 'D', 'T'}, 2).append_bytes(body.bytes()).finish(); // revision 2: 64-bit integers
}

} // namespace touka::platform::acpi
