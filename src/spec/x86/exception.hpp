// Exception vectors and page-fault error codes. (AMD64 APM vol. 2 rev. 3.42 §8.2, §8.4.2)
#pragma once

#include <cstdint>

namespace touka::spec::x86 {

enum class Exception : std::uint8_t {
    kDivideError = 0,
    kDebug = 1,
    kNmi = 2,
    kBreakpoint = 3,
    kOverflow = 4,
    kBoundRange = 5,
    kInvalidOpcode = 6,
    kDeviceNotAvailable = 7,
    kDoubleFault = 8,
    kInvalidTss = 10,
    kSegmentNotPresent = 11,
    kStack = 12,
    kGeneralProtection = 13,
    kPageFault = 14,
    kX87 = 16,
    kAlignmentCheck = 17,
    kMachineCheck = 18,
    kSimd = 19,
};

namespace page_fault {
inline constexpr std::uint32_t P = 1u << 0, W = 1u << 1, U = 1u << 2, RSVD = 1u << 3, I = 1u << 4;
}

/// Does the exception push an error code?
[[nodiscard]] constexpr bool has_error_code(Exception exception) {
    switch (exception) {
        case Exception::kDoubleFault:
        case Exception::kInvalidTss:
        case Exception::kSegmentNotPresent:
        case Exception::kStack:
        case Exception::kGeneralProtection:
        case Exception::kPageFault:
        case Exception::kAlignmentCheck: return true;
        default: return false;
    }
}
static_assert(has_error_code(Exception::kPageFault) && !has_error_code(Exception::kX87));

} // namespace touka::spec::x86
