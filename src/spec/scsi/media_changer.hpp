// What media changers have on the wire beside operation codes. (SMC-3)
#pragma once

#include <cstddef>
#include <cstdint>

namespace touka::spec::scsi {

/// ELEMENT TYPE CODE. (SMC-3 §6.11, READ ELEMENT STATUS)
enum class ElementType : std::uint8_t {
    kAll = 0x0,
    kMediumTransport = 0x1,
    kStorage = 0x2,
    kImportExport = 0x3,
    kDataTransfer = 0x4,
};

/// Element status data: the header, then for each element type a page header and descriptors. (SMC-3 §6.11)
inline constexpr std::size_t kElementStatusHeaderBytes = 8, kElementPageHeaderBytes = 8;
inline constexpr std::size_t kVolumeTagBytes = 36, kVolumeIdentifierBytes = 32;
/// Byte 1 of a page header.
inline constexpr std::uint8_t kPrimaryVolumeTags = 0x80;
/// Byte 2 of an element descriptor.
namespace element_flag {
inline constexpr std::uint8_t FULL = 0x01, IMPEXP = 0x02, EXCEPT = 0x04, ACCESS = 0x08, EXENAB = 0x10, INENAB = 0x20;
}
/// Byte 9 of an element descriptor: the source storage element address behind it is valid.
inline constexpr std::uint8_t kSourceValid = 0x80;
/// Byte 9, MEDIUM TYPE: a data medium.
inline constexpr std::uint8_t kDataMedium = 0x01;

/// Mode pages. (SMC-3 §7.3)
namespace changer_page {
inline constexpr std::uint8_t kElementAddressAssignment = 0x1D, kTransportGeometry = 0x1E, kDeviceCapabilities = 0x1F;
}
/// Which element types can hold media, or media can be moved to, in the device capabilities page.
namespace element_bit {
inline constexpr std::uint8_t MT = 0x01, ST = 0x02, IE = 0x04, DT = 0x08;
}

} // namespace touka::spec::scsi
