#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "scsi/changer/inventory.hpp"
#include "scsi/device_server/inquiry.hpp"

namespace touka::scsi {

/// What READ ELEMENT STATUS asks for. (SMC-3 §6.11)
struct ElementStatusRequest {
    ElementType type = ElementType::kAll;
    ElementAddress first = 0;
    std::uint16_t count = 0;
    bool volume_tags = false;
    bool device_identifiers = false;
    std::uint32_t allocation_bytes = 0;
};

/// A drive as the changer tells of it.
struct DriveStatus {
    UnitIdentity identity{};
    bool accessible = true; ///< a cartridge in it can be taken out
};

/// Element status data: the header tells of all that was asked for, descriptors are there as whole ones as fit into
/// the allocation length. @param drive of a drive's element, by its number
[[nodiscard]] std::vector<std::uint8_t> element_status(const Inventory& inventory, const ElementStatusRequest& request,
                                                       const std::function<DriveStatus(std::size_t)>& drive);

} // namespace touka::scsi
