// The remapping unit's registers. (Intel VT-d Architecture Specification, Rev. 4.1, chapter 11, by the registers'
// names)
#pragma once

#include <cstdint>

#include "spec/register.hpp"

namespace touka::spec::vtd {

/// The registers' window, aligned to its length. (§11.1)
inline constexpr std::uint64_t kRegisterBytes = 0x1000;

/// Offsets. (§11.3)
enum class Offset : std::uint32_t {
    VER = 0x00,     // 32 bits
    CAP = 0x08,     // 64
    ECAP = 0x10,    // 64
    GCMD = 0x18,    // 32, write only
    GSTS = 0x1C,    // 32
    RTADDR = 0x20,  // 64
    CCMD = 0x28,    // 64
    FSTS = 0x34,    // 32
    FECTL = 0x38,   // 32
    FEDATA = 0x3C,  // 32
    FEADDR = 0x40,  // 32
    FEUADDR = 0x44, // 32
    IQH = 0x80,     // 64
    IQT = 0x88,     // 64
    IQA = 0x90,     // 64
    ICS = 0x9C,     // 32
    IECTL = 0xA0,   // 32
    IEDATA = 0xA4,  // 32
    IEADDR = 0xA8,  // 32
    IEUADDR = 0xAC, // 32
    IQERCD = 0xB0,  // 64
    IRTA = 0xB8,    // 64
    IVA = 0xF0,     // 64; this and the next where ECAP.IRO says
    IOTLB = 0xF8,   // 64
    FRCD = 0x220,   // 128 bits each, where CAP.FRO says
};
inline constexpr std::uint32_t kVersion = 0x40; // architecture 4.0: major in bits 7:4
inline constexpr std::uint32_t kFaultRecordBytes = 16;

/// Global Command, Global Status: what is asked for in one stands in the other once it is so.
namespace global {
inline constexpr std::uint32_t CFI = 1u << 23;   // compatibility format interrupts pass
inline constexpr std::uint32_t SIRTP = 1u << 24; // takes the interrupt remapping table pointer; status IRTPS
inline constexpr std::uint32_t IRE = 1u << 25;   // interrupt remapping
inline constexpr std::uint32_t QIE = 1u << 26;   // queued invalidation
inline constexpr std::uint32_t WBF = 1u << 27;   // write buffer flush
inline constexpr std::uint32_t SRTP = 1u << 30;  // takes the root table pointer; status RTPS
inline constexpr std::uint32_t TE = 1u << 31;    // translation
} // namespace global

/// Root Table Address.
using RootTableAddress = Register<std::uint64_t, struct RootTableAddressTag>;
namespace root_table_address {
inline constexpr Field<RootTableAddressTag, 10, 2, std::uint8_t> TTM; // translation table mode, 0: legacy
inline constexpr std::uint64_t kAddress = ~std::uint64_t{0xFFF};
} // namespace root_table_address

/// Context Command.
using ContextCommand = Register<std::uint64_t, struct ContextCommandTag>;
namespace context_command {
inline constexpr Field<ContextCommandTag, 0, 16, std::uint16_t> DID;
inline constexpr Field<ContextCommandTag, 16, 16, std::uint16_t> SID;
inline constexpr Field<ContextCommandTag, 32, 2, std::uint8_t> FM;
inline constexpr Field<ContextCommandTag, 59, 2, std::uint8_t> CAIG; // granularity that was performed
inline constexpr Field<ContextCommandTag, 61, 2, std::uint8_t> CIRG; // granularity asked for
inline constexpr Field<ContextCommandTag, 63, 1, bool> ICC;
} // namespace context_command

/// IOTLB Invalidate.
using IotlbCommand = Register<std::uint64_t, struct IotlbCommandTag>;
namespace iotlb_command {
inline constexpr Field<IotlbCommandTag, 32, 16, std::uint16_t> DID;
inline constexpr Field<IotlbCommandTag, 48, 1, bool> DW; // drain writes
inline constexpr Field<IotlbCommandTag, 49, 1, bool> DR; // drain reads
inline constexpr Field<IotlbCommandTag, 57, 2, std::uint8_t> IAIG;
inline constexpr Field<IotlbCommandTag, 60, 2, std::uint8_t> IIRG;
inline constexpr Field<IotlbCommandTag, 63, 1, bool> IVT;
} // namespace iotlb_command

/// Invalidate Address.
using InvalidateAddress = Register<std::uint64_t, struct InvalidateAddressTag>;
namespace invalidate_address {
inline constexpr Field<InvalidateAddressTag, 0, 6, std::uint8_t> AM; // 2^AM pages
inline constexpr Field<InvalidateAddressTag, 6, 1, bool> IH;         // only leaves changed
inline constexpr std::uint64_t kAddress = ~std::uint64_t{0xFFF};
} // namespace invalidate_address

/// Fault Status.
namespace fault_status {
inline constexpr std::uint32_t PFO = 1u << 0, PPF = 1u << 1, IQE = 1u << 4, ICE = 1u << 5, ITE = 1u << 6;
inline constexpr std::uint32_t kWriteOneToClear = PFO | IQE | ICE | ITE;
inline constexpr unsigned kFriShift = 8; // index of the oldest fault record, 8 bits
} // namespace fault_status

/// Fault Event Control and Invalidation Event Control.
namespace event_control {
inline constexpr std::uint32_t IP = 1u << 30, IM = 1u << 31; // pending; masked
}

/// Invalidation Completion Status.
namespace completion_status {
inline constexpr std::uint32_t IWC = 1u << 0;
}

/// Invalidation Queue Address; Head and Tail.
using QueueAddress = Register<std::uint64_t, struct QueueAddressTag>;
namespace queue_address {
inline constexpr Field<QueueAddressTag, 0, 3, std::uint8_t> QS; // 2^QS pages
inline constexpr Field<QueueAddressTag, 11, 1, bool> DW;        // 256-bit descriptors, scalable mode alone
inline constexpr std::uint64_t kAddress = ~std::uint64_t{0xFFF};
} // namespace queue_address
inline constexpr std::uint64_t kQueuePointerMask = 0x7'FFF0; // bits 18:4, in bytes
inline constexpr std::uint64_t kQueuePageDescriptors = 256;

/// Invalidation Queue Error Record.
using QueueErrorRecord = Register<std::uint64_t, struct QueueErrorRecordTag>;
namespace queue_error {
inline constexpr Field<QueueErrorRecordTag, 0, 4, std::uint8_t> IQEI;
inline constexpr Field<QueueErrorRecordTag, 32, 16, std::uint16_t> ITESID;
inline constexpr Field<QueueErrorRecordTag, 48, 16, std::uint16_t> ICESID;
} // namespace queue_error
enum class QueueErrorInfo : std::uint8_t {
    kNone = 0,
    kInvalidTail = 1,
    kFetchError = 2,
    kInvalidType = 3,
    kReservedField = 4,
    kInvalidWidth = 5,
};

/// Interrupt Remapping Table Address.
using InterruptTableAddress = Register<std::uint64_t, struct InterruptTableAddressTag>;
namespace interrupt_table_address {
inline constexpr Field<InterruptTableAddressTag, 0, 4, std::uint8_t> S; // 2^(S + 1) entries
inline constexpr Field<InterruptTableAddressTag, 11, 1, bool> EIME;     // x2APIC destinations
inline constexpr std::uint64_t kAddress = ~std::uint64_t{0xFFF};
} // namespace interrupt_table_address
static_assert(InterruptTableAddress{0x1234'580F}.get(interrupt_table_address::S) == 15);

} // namespace touka::spec::vtd
