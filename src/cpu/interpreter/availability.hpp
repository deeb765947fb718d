// Whether the operating system lets data instructions run: CR0.EM/TS/MP, CR4.OSFXSR/OSXSAVE and XCR0.
// (AMD64 APM vol. 2 rev. 3.42 §11.3; Intel SDM vol. 3 rev. 084 §2.5, vol. 2 §2.4 exception classes)
#pragma once

#include <cstdint>

#include "cpu/interpreter/processor.hpp"
#include "spec/x86/floating_point_state.hpp"

namespace touka::cpu::interpreter {

/// What an instruction works on, as far as its availability goes.
enum class RegisterSet : std::uint8_t {
    kGeneral,    ///< legacy-encoded: always there
    kGeneralVex, ///< BMI: not in real and virtual-8086 mode
    kX87,        ///< CR0.EM or TS: #NM
    kX87Wait,    ///< FWAIT: #NM when MP and TS
    kMmx,        ///< CR0.EM: #UD, TS: #NM
    kSse,        ///< CR0.EM or no OSFXSR: #UD, TS: #NM
    kAvx,        ///< no OSXSAVE or XCR0[2:1] != 3 or real mode: #UD, TS: #NM
    kAvx512,     ///< as kAvx, and XCR0[7:5] != 7: #UD; also of opmask registers
};

/// @return whether the instruction may run now; if not, p.fault is set.
[[nodiscard]] inline bool check_available(Processor& p, RegisterSet set) {
    using namespace spec::x86;
    const bool virtual_8086 = (p.system_flags & rflags::VM) != 0;
    const auto has_vex_state = [&](std::uint64_t components) {
        return (p.cr4 & cr4::OSXSAVE) != 0 && (p.xcr0 & components) == components && p.protected_mode && !virtual_8086;
    };
    const auto device = [&] { return (p.cr0 & cr0::TS) == 0 || p.raise(Exception::kDeviceNotAvailable); };
    switch (set) {
        case RegisterSet::kGeneral: return true;
        case RegisterSet::kGeneralVex: return (p.protected_mode && !virtual_8086) || p.raise(Exception::kInvalidOpcode);
        case RegisterSet::kX87: return (p.cr0 & (cr0::EM | cr0::TS)) == 0 || p.raise(Exception::kDeviceNotAvailable);
        case RegisterSet::kX87Wait:
            return (p.cr0 & (cr0::MP | cr0::TS)) != (cr0::MP | cr0::TS) || p.raise(Exception::kDeviceNotAvailable);
        case RegisterSet::kMmx: return (p.cr0 & cr0::EM) == 0 ? device() : p.raise(Exception::kInvalidOpcode);
        case RegisterSet::kSse:
            return (p.cr0 & cr0::EM) == 0 && (p.cr4 & cr4::OSFXSR) != 0 ? device() : p.raise(Exception::kInvalidOpcode);
        case RegisterSet::kAvx:
            return has_vex_state(xsave::kSse | xsave::kAvx) ? device() : p.raise(Exception::kInvalidOpcode);
        case RegisterSet::kAvx512:
            return has_vex_state(xsave::kSse | xsave::kAvx | xsave::kAvx512) ? device()
                                                                             : p.raise(Exception::kInvalidOpcode);
    }
    return p.raise(Exception::kInvalidOpcode);
}

/// Raises what HostInstruction::run returned: #XM is #UD while CR4.OSXMMEXCPT is 0. (SDM vol. 1 §11.5.3)
/// @return false.
inline bool raise_floating_point(Processor& p, Exception exception) {
    if (exception == Exception::kSimd && (p.cr4 & spec::x86::cr4::OSXMMEXCPT) == 0)
        exception = Exception::kInvalidOpcode;
    return p.raise(exception);
}

} // namespace touka::cpu::interpreter
