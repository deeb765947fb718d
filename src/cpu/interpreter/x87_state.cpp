#include "cpu/interpreter/x87_state.hpp"

#include <cstring>

#include "spec/x86/floating_point_state.hpp"

namespace touka::cpu::interpreter {

namespace fxsave = spec::x86::fxsave;
namespace mxcsr = spec::x86::mxcsr;

X87Place place_of_host_x87() {
    std::uint16_t control = 0, status = 0;
    asm volatile("fnstcw %0\n\tfnstsw %1" : "=m"(control), "=m"(status));
    const bool all_masked = (control & fxsave::kExceptions) == fxsave::kExceptions;
    return all_masked && (status & fxsave::kErrorSummary) == 0 ? X87Place::kHost : X87Place::kHostUnmasked;
}

bool host_x87_exception_pending() {
    std::uint16_t status = 0;
    asm volatile("fnstsw %0" : "=a"(status));
    return (status & fxsave::kErrorSummary) != 0;
}

void load_x87(RegisterFile& regs) {
    // FXRSTOR loads MXCSR too, and faults on reserved bits there.
    std::memcpy(regs.legacy.data() + fxsave::kMxcsr, &mxcsr::kInitial, sizeof(mxcsr::kInitial));
    asm volatile("fxrstor64 %0"
                 :
                 : "m"(regs.legacy)
                 : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                   "xmm12", "xmm13", "xmm14", "xmm15");
    regs.x87_place = place_of_host_x87();
}

void save_x87(RegisterFile& regs) {
    asm volatile("fxsave64 %0\n\tfninit" : "=m"(regs.legacy));
    std::memset(regs.legacy.data() + fxsave::kOpcode, 0, fxsave::kMxcsr - fxsave::kOpcode);
    regs.x87_place = X87Place::kImage;
}

void normalise_x87(RegisterFile& regs) {
    std::uint16_t control = 0, status = 0;
    std::memcpy(&control, regs.legacy.data() + fxsave::kControl, sizeof(control));
    std::memcpy(&status, regs.legacy.data() + fxsave::kStatus, sizeof(status));
    control = static_cast<std::uint16_t>((control & fxsave::kControlBits) | fxsave::kControlFixed);
    status = static_cast<std::uint16_t>(status & ~(fxsave::kErrorSummary | fxsave::kBusy));
    if ((status & ~control & fxsave::kExceptions) != 0) status |= fxsave::kErrorSummary | fxsave::kBusy;
    std::memcpy(regs.legacy.data() + fxsave::kControl, &control, sizeof(control));
    std::memcpy(regs.legacy.data() + fxsave::kStatus, &status, sizeof(status));
    regs.legacy[fxsave::kTags + 1] = 0;
    for (std::size_t n = 0; n < 8; ++n) {
        std::memset(regs.legacy.data() + fxsave::kRegisters + n * fxsave::kRegisterStride + 10, 0, 6);
    }
}

void enter_mmx(RegisterFile& regs) {
    // The image keeps registers from ST0 on, so a new TOP turns them round.
    const std::size_t top = (regs.legacy[fxsave::kStatus + 1] >> 3) & 7u;
    std::array<std::uint8_t, 8 * fxsave::kRegisterStride> turned;
    for (std::size_t n = 0; n < 8; ++n) {
        std::memcpy(turned.data() + ((n + top) & 7) * fxsave::kRegisterStride,
                    regs.legacy.data() + fxsave::kRegisters + n * fxsave::kRegisterStride, fxsave::kRegisterStride);
    }
    std::memcpy(regs.legacy.data() + fxsave::kRegisters, turned.data(), turned.size());
    regs.legacy[fxsave::kStatus + 1] &= static_cast<std::uint8_t>(~(fxsave::kTop >> 8));
    regs.legacy[fxsave::kTags] = 0xFF;
}

void reset_x87(RegisterFile& regs) {
    spill_x87(regs);
    regs.legacy.fill(0);
    std::memcpy(regs.legacy.data() + fxsave::kControl, &fxsave::kInitialControl, sizeof(fxsave::kInitialControl));
    regs.mxcsr = mxcsr::kInitial;
    for (auto& vector : regs.vector) vector.fill(0);
    for (auto& vector : regs.hi16_zmm) vector.fill(0);
    for (auto& half : regs.zmm_hi256) half.fill(0);
    regs.hi256_in_use = false;
    regs.opmask.fill(0);
}

} // namespace touka::cpu::interpreter
