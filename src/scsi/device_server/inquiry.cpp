#include "scsi/device_server/inquiry.hpp"

#include <algorithm>
#include <utility>

#include "scsi/parameter_data.hpp"

namespace touka::scsi {

using namespace spec::scsi;

namespace {

// SPC-4: initiators in the field take 07h for no version at all; the descriptors name SPC-5. (docs/decisions/012)
constexpr std::uint8_t kVersion = 0x06;
constexpr std::size_t kVersionDescriptorsEnd = 74; // eight of them, from byte 58 on

void add_designator(ParameterData& data, CodeSet code_set, DesignatorAssociation association, DesignatorType type,
                    std::span<const std::uint8_t> designator, std::uint8_t protocol = 0) {
    constexpr std::uint8_t kProtocolIsValid = 0x80;
    const bool of_port = association != DesignatorAssociation::kLogicalUnit;
    data.byte((of_port ? unsigned{protocol} << 4 : 0u) | static_cast<unsigned>(code_set));
    data.byte((of_port ? kProtocolIsValid : 0u) | static_cast<unsigned>(association) << 4 |
              static_cast<unsigned>(type));
    data.zeros(1).byte(designator.size()).bytes(designator);
}

/// A SCSI name string: UTF-8, ended by zeros up to a multiple of four. (SPC-5 §7.7.6.11)
std::vector<std::uint8_t> name_string(const std::string& name) {
    std::vector<std::uint8_t> bytes(name.begin(), name.end());
    bytes.resize((name.size() + 4) / 4 * 4);
    return bytes;
}

void add_relative_port(ParameterData& data, const TargetPort& port) {
    const auto bytes = ParameterData().zeros(2).number(port.relative, 2).take();
    add_designator(data, CodeSet::kBinary, DesignatorAssociation::kTargetPort, DesignatorType::kRelativeTargetPort,
                   bytes, static_cast<std::uint8_t>(port.protocol));
}

void add_port_name(ParameterData& data, const TargetPort& port) {
    if (port.name.empty()) return;
    add_designator(data, CodeSet::kUtf8, DesignatorAssociation::kTargetPort, DesignatorType::kScsiNameString,
                   name_string(port.name), static_cast<std::uint8_t>(port.protocol));
}

} // namespace

std::uint64_t derive_naa(std::string_view text) {
    std::uint64_t hash = 0xCBF2'9CE4'8422'2325; // FNV-1a, 64 bits
    for (const char c : text) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x0000'0100'0000'01B3;
    return 0x3000'0000'0000'0000 | (hash & 0x0FFF'FFFF'FFFF'FFFF);
}

std::vector<std::uint8_t> naa_designator(std::uint64_t naa) {
    ParameterData data;
    add_designator(data, CodeSet::kBinary, DesignatorAssociation::kLogicalUnit, DesignatorType::kNaa,
                   ParameterData().number(naa, 8).take());
    return data.take();
}

Inquiry::Inquiry(DeviceServer& server, UnitIdentity identity, Standard standard, std::vector<TargetPort> ports)
    : server_(server), identity_(std::move(identity)), standard_(std::move(standard)), ports_(std::move(ports)) {
    server.add({.usage = {operation::kInquiry, 0x01, 0xFF, 0xFF, 0xFF, 0x00},
                .reservation = always_allowed,
                .despite_unit_attention = true,
                .despite_not_ready = true,
                .execute = [this](Task& task) { execute(task); }});
    add_page(VpdPage::kSupportedPages, [this](const Nexus&) { return supported_pages(); });
    add_page(VpdPage::kUnitSerialNumber, [this](const Nexus&) {
        return std::vector<std::uint8_t>(identity_.serial.begin(), identity_.serial.end());
    });
    add_page(VpdPage::kDeviceIdentification, [this](const Nexus& nexus) { return device_identification(nexus); });
    add_page(VpdPage::kExtendedInquiryData, [this](const Nexus&) { return extended_data(); });
    add_page(VpdPage::kScsiPorts, [this](const Nexus&) { return scsi_ports(); });
}

void Inquiry::execute(Task& task) {
    const bool evpd = task.cdb.bit(1, 0);
    const std::uint8_t code = task.cdb[2];
    const std::uint64_t allocation_length = task.cdb.number(3, 2);
    if (!evpd) {
        if (code != 0) return server_.check(task, Sense::invalid_field_in_cdb(2, std::uint8_t{7}));
        return server_.reply(task, standard_data(), allocation_length);
    }
    const auto page = pages_.find(code);
    if (page == pages_.end()) return server_.check(task, Sense::invalid_field_in_cdb(2, std::uint8_t{7}));
    const auto content = page->second(*task.nexus);
    const auto data = ParameterData()
                          .byte(static_cast<std::uint8_t>(standard_.type))
                          .byte(code)
                          .number(content.size(), 2)
                          .bytes(content)
                          .take();
    server_.reply(task, data, allocation_length);
}

/// (SPC-5 §6.7.2)
std::vector<std::uint8_t> Inquiry::standard_data() const {
    constexpr std::uint8_t kRemovable = 0x80, kHierarchicalSupport = 0x10, kFormat2 = 0x02, kThirdPartyCopy = 0x08,
                           kProtect = 0x01, kImplicitAndExplicit = 0x30, kMultiPort = 0x10, kChanger = 0x08,
                           kCommandQueuing = 0x02;
    ParameterData data;
    data.byte(static_cast<std::uint8_t>(standard_.type)).byte(standard_.removable ? kRemovable : 0);
    data.byte(kVersion).byte(kHierarchicalSupport | kFormat2).byte(0);
    data.byte((standard_.asymmetric_access ? kImplicitAndExplicit : 0) |
              (standard_.third_party_copy ? kThirdPartyCopy : 0) | (standard_.protection ? kProtect : 0));
    data.byte((ports_.size() > 1 ? kMultiPort : 0) | (standard_.medium_changer ? kChanger : 0));
    data.byte(kCommandQueuing);
    data.text(identity_.vendor, 8).text(identity_.product, 16).text(identity_.revision, 4).zeros(22);
    for (const std::uint16_t descriptor : standard_.version_descriptors) data.number(descriptor, 2);
    data.zeros(kVersionDescriptorsEnd - data.size());
    data.set(4, data.size() - 5, 1);
    return data.take();
}

std::vector<std::uint8_t> Inquiry::supported_pages() const {
    std::vector<std::uint8_t> codes;
    for (const auto& [code, page] : pages_) codes.push_back(code);
    return codes;
}

/// (SPC-5 §7.7.6)
std::vector<std::uint8_t> Inquiry::device_identification(const Nexus& nexus) const {
    ParameterData data;
    data.bytes(naa_designator(identity_.naa));
    const auto t10 = ParameterData().text(identity_.vendor, 8).text(identity_.serial, identity_.serial.size()).take();
    add_designator(data, CodeSet::kAscii, DesignatorAssociation::kLogicalUnit, DesignatorType::kT10VendorId, t10);
    const auto port = std::ranges::find(ports_, nexus.name.target_port, &TargetPort::relative);
    if (port == ports_.end()) return data.take();
    add_relative_port(data, *port);
    if (port->group != 0) {
        const auto group = ParameterData().zeros(2).number(port->group, 2).take();
        add_designator(data, CodeSet::kBinary, DesignatorAssociation::kTargetPort, DesignatorType::kTargetPortGroup,
                       group, static_cast<std::uint8_t>(port->protocol));
    }
    add_port_name(data, *port);
    return data.take();
}

/// (SPC-5 §7.7.7)
std::vector<std::uint8_t> Inquiry::extended_data() const {
    constexpr std::uint8_t kCheckAllTags = 0x07, kTypes123 = 0x38;
    constexpr std::uint8_t kSimpleOrderedHead = 0x07, kVolatileCache = 0x01;
    ParameterData data;
    data.byte(standard_.protection ? kTypes123 | kCheckAllTags : 0); // SPT 111b: types 1, 2 and 3
    data.byte(kSimpleOrderedHead).byte(kVolatileCache).zeros(57);
    return data.take();
}

/// (SPC-5 §7.7.14)
std::vector<std::uint8_t> Inquiry::scsi_ports() const {
    ParameterData data;
    for (const TargetPort& port : ports_) {
        ParameterData name;
        add_port_name(name, port);
        data.zeros(2).number(port.relative, 2).zeros(2).number(0, 2).zeros(2);
        data.number(name.size(), 2).bytes(name.view());
    }
    return data.take();
}

} // namespace touka::scsi
