// Registers of the 16550 serial port. (National Semiconductor PC16550D datasheet, June 1995, §8 table II)
#pragma once

#include <cstdint>

#include "spec/register.hpp"

namespace touka::spec::uart {

/// Where PCs have the first two, and their ISA interrupts.
inline constexpr std::uint16_t kCom1Port = 0x3F8, kCom2Port = 0x2F8, kPortCount = 8;
inline constexpr unsigned kCom1Irq = 4, kCom2Irq = 3;
inline constexpr unsigned kFifoSize = 16;

/// Offsets. With LCR.DLAB set the first two are the divisor latch.
enum class Offset : std::uint8_t {
    RBR_THR = 0, // receiver buffer (read), transmitter holding (write)
    IER = 1,
    IIR_FCR = 2, // interrupt identification (read), FIFO control (write)
    LCR = 3,
    MCR = 4,
    LSR = 5,
    MSR = 6,
    SCR = 7,
};

namespace ier {
inline constexpr std::uint8_t ERBFI = 0x01, ETBEI = 0x02, ELSI = 0x04, EDSSI = 0x08, kWritable = 0x0F;
}
/// §8.6.3 table IV, in falling priority.
namespace iir {
inline constexpr std::uint8_t kLineStatus = 0x06, kReceivedData = 0x04, kCharacterTimeout = 0x0C, kThrEmpty = 0x02,
                              kModemStatus = 0x00, kNone = 0x01, kFifosEnabled = 0xC0;
}
using Fcr = Register<std::uint8_t, struct FcrTag>;
namespace fcr {
inline constexpr Field<FcrTag, 0, 1, bool> ENABLE;
inline constexpr Field<FcrTag, 1, 1, bool> RCVR_RESET;
inline constexpr Field<FcrTag, 6, 2, std::uint8_t> RCVR_TRIGGER; // 1, 4, 8, 14 bytes
inline constexpr std::uint8_t kStored = 0xC9;                    // the resets clear themselves
} // namespace fcr
namespace lcr {
inline constexpr std::uint8_t BREAK = 0x40, DLAB = 0x80;
}
namespace mcr {
inline constexpr std::uint8_t DTR = 0x01, RTS = 0x02, OUT1 = 0x04, OUT2 = 0x08, LOOP = 0x10, kWritable = 0x1F;
}
namespace lsr {
inline constexpr std::uint8_t DR = 0x01, OE = 0x02, BI = 0x10, THRE = 0x20, TEMT = 0x40;
}
namespace msr {
inline constexpr std::uint8_t DCTS = 0x01, DDSR = 0x02, TERI = 0x04, DDCD = 0x08, CTS = 0x10, DSR = 0x20, RI = 0x40,
                              DCD = 0x80, kDeltas = 0x0F;
}
static_assert(Fcr{0x81}.get(fcr::RCVR_TRIGGER) == 2);

} // namespace touka::spec::uart
