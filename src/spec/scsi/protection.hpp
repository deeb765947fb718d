// Protection information. (SBC-4 §4.21)
#pragma once

#include <cstddef>
#include <cstdint>

namespace touka::spec::scsi {

/// How a medium is formatted. (SBC-4 §4.21.2)
enum class ProtectionType : std::uint8_t { kNone, kType1, kType2, kType3 };

/// Guard, application tag and reference tag, most significant byte first, after each logical block. (SBC-4 §4.21.3)
inline constexpr std::size_t kProtectionBytes = 8;
/// Tags that say: do not check this block when it is read. (SBC-4 §4.21.3)
inline constexpr std::uint16_t kApplicationTagEscape = 0xFFFF;
inline constexpr std::uint32_t kReferenceTagEscape = 0xFFFF'FFFF;

/// RDPROTECT, WRPROTECT, VRPROTECT and ORPROTECT in the highest bits of their byte. (SBC-4 tables 56, 101, 127)
inline constexpr std::uint8_t kProtectField = 0xE0, kProtectShift = 5, kLargestProtectCode = 5;

/// FMTPINFO of FORMAT UNIT and PROTECTION FIELD USAGE of its parameter list. (SBC-4 table 43)
inline constexpr std::uint8_t kFormatProtectionField = 0xC0, kFormatProtectionShift = 6, kProtectionFieldUsage = 0x07;

} // namespace touka::spec::scsi
