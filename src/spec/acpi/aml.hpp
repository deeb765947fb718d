// Encodings of the ACPI Machine Language. (ACPI Specification 6.4 §20.2 and §20.3)
#pragma once

#include <cstdint>

namespace touka::spec::acpi::aml {

// §20.2.2, name strings
inline constexpr std::uint8_t kDualNamePrefix = 0x2E, kMultiNamePrefix = 0x2F, kRootChar = '\\', kParentPrefix = '^';
// §20.2.3, data objects
inline constexpr std::uint8_t kZeroOp = 0x00, kOneOp = 0x01, kBytePrefix = 0x0A, kWordPrefix = 0x0B,
                              kDwordPrefix = 0x0C, kStringPrefix = 0x0D, kQwordPrefix = 0x0E, kOnesOp = 0xFF;
// §20.2.5, terms
inline constexpr std::uint8_t kNameOp = 0x08, kScopeOp = 0x10, kBufferOp = 0x11, kPackageOp = 0x12, kMethodOp = 0x14,
                              kExtOpPrefix = 0x5B, kDeviceOp = 0x82, kLocal0Op = 0x60, kArg0Op = 0x68, kStoreOp = 0x70,
                              kAndOp = 0x7B, kOrOp = 0x7D, kCreateDWordFieldOp = 0x8A, kLnotOp = 0x92, kLequalOp = 0x93,
                              kIfOp = 0xA0, kElseOp = 0xA1, kReturnOp = 0xA4;

// §20.2.4: where a package length grows by a byte.
inline constexpr std::uint32_t kPkgLengthOneByteLimit = 0x3F, kPkgLengthTwoByteLimit = 0xFFF,
                               kPkgLengthThreeByteLimit = 0xF'FFFF, kPkgLengthFourByteLimit = 0xFFF'FFFF;

} // namespace touka::spec::acpi::aml
