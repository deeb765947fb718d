// Controller properties, as they stand in a PCIe function's BAR0. (NVM Express Base 2.0 §3.1.3; PCIe Transport 1.0
// §3.1)
#pragma once

#include <cstdint>

#include "spec/register.hpp"

namespace touka::spec::nvme {

/// Offsets. (Base 2.0 §3.1.3 figure 35)
namespace offset {
inline constexpr std::uint32_t CAP = 0x00, VS = 0x08, INTMS = 0x0C, INTMC = 0x10, CC = 0x14, CSTS = 0x1C, NSSR = 0x20,
                               AQA = 0x24, ASQ = 0x28, ACQ = 0x30, CRTO = 0x68;
} // namespace offset
/// PCIe Transport 1.0 §3.1.2: SQyTDBL at kDoorbells + 2y * stride, CQyHDBL one stride later.
inline constexpr std::uint32_t kDoorbells = 0x1000, kDoorbellBytes = 4;

// Base 2.0 §3.1.3.1: CAP (Controller Capabilities), 64-bit RO.
using Cap = Register<std::uint64_t, struct CapTag>;
namespace cap {
inline constexpr Field<CapTag, 0, 16, std::uint16_t> MQES; // entries of the largest queue, less one
inline constexpr Field<CapTag, 16, 1, bool> CQR;           // queues are contiguous
inline constexpr Field<CapTag, 17, 2, std::uint8_t> AMS;
inline constexpr Field<CapTag, 24, 8, std::uint8_t> TO; // in 500 ms
inline constexpr Field<CapTag, 32, 4, std::uint8_t> DSTRD;
inline constexpr Field<CapTag, 36, 1, bool> NSSRS;
inline constexpr Field<CapTag, 37, 8, std::uint8_t> CSS;
inline constexpr Field<CapTag, 48, 4, std::uint8_t> MPSMIN; // 2^(12 + MPSMIN) bytes
inline constexpr Field<CapTag, 52, 4, std::uint8_t> MPSMAX;
inline constexpr Field<CapTag, 59, 2, std::uint8_t> CRMS;
inline constexpr std::uint8_t kWeightedRoundRobin = 1, kNvmCommandSet = 0x01, kCommandSets = 0x40, kReadyWithMedia = 1;
} // namespace cap

/// §3.1.3.2: VS (Version): 2.0.0.
inline constexpr std::uint32_t kVersion20 = 0x0002'0000;

// §3.1.3.5: CC (Controller Configuration), 32-bit RW.
using Cc = Register<std::uint32_t, struct CcTag>;
namespace cc {
inline constexpr Field<CcTag, 0, 1, bool> EN;
inline constexpr Field<CcTag, 4, 3, std::uint8_t> CSS;
inline constexpr Field<CcTag, 7, 4, std::uint8_t> MPS; // pages of 2^(12 + MPS) bytes
inline constexpr Field<CcTag, 11, 3, std::uint8_t> AMS;
inline constexpr Field<CcTag, 14, 2, std::uint8_t> SHN;
inline constexpr Field<CcTag, 16, 4, std::uint8_t> IOSQES; // entries of 2^IOSQES bytes
inline constexpr Field<CcTag, 20, 4, std::uint8_t> IOCQES;
inline constexpr std::uint32_t kWritable = 0x00FF'FFF1, kWritableWhenEnabled = 0x00FF'C001;
inline constexpr std::uint8_t kNvm = 0, kAllCommandSets = 6, kAdminOnly = 7;
inline constexpr std::uint8_t kRoundRobin = 0, kWeightedRoundRobin = 1;
} // namespace cc
static_assert(Cc{0x0046'0001}.get(cc::IOSQES) == 6 && Cc{0x0046'0001}.get(cc::IOCQES) == 4);

// §3.1.3.6: CSTS (Controller Status), 32-bit RO.
using Csts = Register<std::uint32_t, struct CstsTag>;
namespace csts {
inline constexpr Field<CstsTag, 0, 1, bool> RDY;
inline constexpr Field<CstsTag, 1, 1, bool> CFS; // fatal
inline constexpr Field<CstsTag, 2, 2, std::uint8_t> SHST;
inline constexpr std::uint8_t kNoShutdown = 0, kShuttingDown = 1, kShutDown = 2;
} // namespace csts

// §3.1.3.8: AQA (Admin Queue Attributes), 32-bit RW: entries less one.
using Aqa = Register<std::uint32_t, struct AqaTag>;
namespace aqa {
inline constexpr Field<AqaTag, 0, 12, std::uint16_t> ASQS;
inline constexpr Field<AqaTag, 16, 12, std::uint16_t> ACQS;
inline constexpr std::uint32_t kWritable = 0x0FFF'0FFF;
} // namespace aqa
static_assert(Aqa{0x001F'000F}.get(aqa::ACQS) == 31);

/// §3.1.3.9, §3.1.3.10: ASQ and ACQ hold bits 63:12 of an address.
inline constexpr std::uint64_t kQueueBaseMask = ~std::uint64_t{0xFFF};

} // namespace touka::spec::nvme
