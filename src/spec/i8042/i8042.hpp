// Ports, commands and status of the keyboard controller. (IBM PS/2 Hardware Interface Technical Reference, 1990,
// "Keyboard and Auxiliary Device Controller"; Intel ICH9 datasheet, order number 316972-004, §5.10 for A20 and reset)
#pragma once

#include <cstdint>

namespace touka::spec::i8042 {

inline constexpr std::uint16_t kDataPort = 0x60, kCommandPort = 0x64;
inline constexpr unsigned kKeyboardIrq = 1, kAuxiliaryIrq = 12;

namespace status {
inline constexpr std::uint8_t OBF = 0x01, IBF = 0x02, SYS = 0x04, CMD = 0x08, NOT_INHIBITED = 0x10, AUX_OBF = 0x20,
                              TIMEOUT = 0x40, PARITY = 0x80;
}
/// The command byte, byte 0 of the controller's memory.
namespace command_byte {
inline constexpr std::uint8_t KEYBOARD_INTERRUPT = 0x01, AUX_INTERRUPT = 0x02, SYS = 0x04, DISABLE_KEYBOARD = 0x10,
                              DISABLE_AUX = 0x20, TRANSLATE = 0x40;
}
/// The output port, as D0h reads it.
namespace output_port {
inline constexpr std::uint8_t NOT_RESET = 0x01, A20 = 0x02, OBF_INTERRUPT = 0x10, AUX_OBF_INTERRUPT = 0x20;
}
enum class Command : std::uint8_t {
    kReadMemory = 0x20, // 20h ..= 3Fh: byte 0 ..= 1Fh
    kWriteMemory = 0x60,
    kDisableAux = 0xA7,
    kEnableAux = 0xA8,
    kTestAux = 0xA9,
    kSelfTest = 0xAA,
    kTestKeyboard = 0xAB,
    kDisableKeyboard = 0xAD,
    kEnableKeyboard = 0xAE,
    kReadInputPort = 0xC0,
    kReadOutputPort = 0xD0,
    kWriteOutputPort = 0xD1,
    kWriteKeyboardOutput = 0xD2,
    kWriteAuxOutput = 0xD3,
    kWriteAux = 0xD4,
    kPulseOutputPort = 0xF0, // F0h ..= FFh: the low bits that are 0 pulse; bit 0 is the processor's reset
};
inline constexpr std::uint8_t kMemorySize = 0x20;
inline constexpr std::uint8_t kSelfTestPassed = 0x55, kInterfaceTestPassed = 0x00, kClockLineStuckLow = 0x01;
/// What the controller puts into the output buffer when a device does not answer; status says TIMEOUT with it.
inline constexpr std::uint8_t kNoAnswer = 0xFE;
static_assert(static_cast<std::uint8_t>(Command::kReadMemory) + kMemorySize == 0x40);

} // namespace touka::spec::i8042
