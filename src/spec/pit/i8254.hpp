// Ports and control words of the 8254 interval timer, and port 61h beside it. (Intel 8254 datasheet, order number
// 231164-005, "Programming the 8254"; port 61h: Intel ICH9 datasheet, order number 316972-004, §13.7.1)
#pragma once

#include <cstdint>

#include "spec/register.hpp"

namespace touka::spec::pit {

inline constexpr std::uint16_t kPort = 0x40, kPortCount = 4;
inline constexpr std::uint16_t kControlOffset = 3;
inline constexpr std::uint64_t kFrequencyHz = 1'193'182;
inline constexpr unsigned kChannelCount = 3;

using ControlWord = Register<std::uint8_t, struct ControlWordTag>;
namespace control_word {
inline constexpr Field<ControlWordTag, 0, 1, bool> BCD;
inline constexpr Field<ControlWordTag, 1, 3, std::uint8_t> M;
inline constexpr Field<ControlWordTag, 4, 2, std::uint8_t> RW;
inline constexpr Field<ControlWordTag, 6, 2, std::uint8_t> SC;
inline constexpr std::uint8_t kReadBack = 3; // SC
inline constexpr std::uint8_t kLatch = 0;    // RW
} // namespace control_word
static_assert(ControlWord{0xB0}.get(control_word::SC) == 2 && ControlWord{0x34}.get(control_word::M) == 2);

using ReadBackCommand = Register<std::uint8_t, struct ReadBackCommandTag>;
namespace read_back {
inline constexpr Field<ReadBackCommandTag, 1, 3, std::uint8_t> CNT; // one bit for each counter
inline constexpr Field<ReadBackCommandTag, 4, 1, bool> NO_STATUS;
inline constexpr Field<ReadBackCommandTag, 5, 1, bool> NO_COUNT;
} // namespace read_back

using StatusByte = Register<std::uint8_t, struct StatusByteTag>;
namespace status {
inline constexpr Field<StatusByteTag, 0, 1, bool> BCD;
inline constexpr Field<StatusByteTag, 1, 3, std::uint8_t> M;
inline constexpr Field<StatusByteTag, 4, 2, std::uint8_t> RW;
inline constexpr Field<StatusByteTag, 6, 1, bool> NULL_COUNT;
inline constexpr Field<StatusByteTag, 7, 1, bool> OUTPUT;
} // namespace status

/// NMI_SC, port 61h.
inline constexpr std::uint16_t kSpeakerPort = 0x61;
using NmiSc = Register<std::uint8_t, struct NmiScTag>;
namespace nmi_sc {
inline constexpr Field<NmiScTag, 0, 1, bool> TIM_CNT2_EN; // channel 2's gate
inline constexpr Field<NmiScTag, 1, 1, bool> SPKR_DAT_EN;
inline constexpr Field<NmiScTag, 4, 1, bool> REF_TOGGLE;
inline constexpr Field<NmiScTag, 5, 1, bool> TMR2_OUT_STS;
/// A refresh request of the days of DRAM on the ISA bus; software times short delays with it.
inline constexpr std::uint64_t kRefreshToggleNs = 15'085;
} // namespace nmi_sc
static_assert(NmiSc{0x21}.get(nmi_sc::TMR2_OUT_STS));

} // namespace touka::spec::pit
