#include "fabric/open_unit.hpp"

#include <fmt/format.h>

#include <cctype>

namespace touka::fabric {

std::string UnitContext::state_path(const std::string& name, const char* extension) const {
    std::string file;
    for (const char c : name) {
        const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
        file += plain ? std::string(1, c) : fmt::format("%{:02x}", static_cast<unsigned char>(c));
    }
    return fmt::format("{}/{}.{}", state_folder, file, extension);
}

std::vector<scsi::RelativeTargetPort> UnitContext::port_numbers() const {
    std::vector<scsi::RelativeTargetPort> numbers;
    for (const scsi::TargetPort& port : ports) numbers.push_back(port.relative);
    return numbers;
}

scsi::UnitIdentity identity_of(const UnitConfig& config, std::string_view product) {
    scsi::UnitIdentity identity;
    if (!config.vendor.empty()) identity.vendor = config.vendor;
    identity.product = config.product.empty() ? std::string(product) : config.product;
    identity.revision = config.revision.empty() ? "0.1" : config.revision;
    identity.serial = config.serial.empty() ? fmt::format("{:016x}", scsi::derive_naa(config.name)) : config.serial;
    identity.naa = scsi::derive_naa(identity.vendor + identity.product + identity.serial);
    return identity;
}

} // namespace touka::fabric
