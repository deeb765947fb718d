#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "cpu/interpreter/avx512_state.hpp"
#include "cpu/interpreter/x87_state.hpp"
#include "cpu/interpreter/xsave.hpp"

namespace touka::cpu::interpreter {

namespace fxsave = spec::x86::fxsave;
namespace mxcsr = spec::x86::mxcsr;
namespace xsave = spec::x86::xsave;

namespace {

bool x87_in_use(const RegisterFile& regs) {
    std::uint16_t control = 0;
    std::memcpy(&control, regs.legacy.data() + fxsave::kControl, sizeof(control));
    const std::span<const std::uint8_t> legacy(regs.legacy);
    return control != fxsave::kInitialControl || !is_zero(legacy.subspan(fxsave::kStatus, fxsave::kMxcsr - 2)) ||
           !is_zero(legacy.subspan(fxsave::kRegisters, fxsave::kXmm - fxsave::kRegisters));
}

template <class T>
void put(std::vector<std::uint8_t>& image, std::size_t offset, const T& value) {
    std::memcpy(image.data() + offset, &value, sizeof(T));
}

template <class T>
T take(std::span<const std::uint8_t> image, std::size_t offset) {
    T value;
    std::memcpy(&value, image.data() + offset, sizeof(T));
    return value;
}

} // namespace

std::uint64_t components_in_use(const RegisterFile& regs) {
    std::uint64_t used = x87_in_use(regs) ? xsave::kX87 : 0;
    std::uint64_t lower = 0, upper = 0;
    for (const auto& vector : regs.vector) {
        const auto words = std::bit_cast<std::array<std::uint64_t, 4>>(vector);
        lower |= words[0] | words[1];
        upper |= words[2] | words[3];
    }
    if (lower != 0) used |= xsave::kSse;
    if (upper != 0) used |= xsave::kAvx;
    return used | avx512_in_use(regs);
}

std::vector<std::uint8_t> save_xsave_image(Processor& p) {
    RegisterFile& regs = p.regs;
    spill_x87(regs);
    const bool has_avx512 = ((p.xcr0 | avx512_in_use(regs)) & xsave::kAvx512) != 0;
    const std::uint64_t components =
        xsave::kX87 | xsave::kSse | xsave::kAvx | (has_avx512 ? xsave::kAvx512 & p.model.xsave.components() : 0);
    std::vector<std::uint8_t> image(std::max<std::size_t>(xsave::kBytes, p.model.xsave.standard_bytes(components)));
    std::memcpy(image.data(), regs.legacy.data(), fxsave::kMxcsr);
    std::memcpy(image.data() + fxsave::kRegisters, regs.legacy.data() + fxsave::kRegisters,
                fxsave::kXmm - fxsave::kRegisters);
    put(image, fxsave::kMxcsr, regs.mxcsr);
    put(image, fxsave::kMxcsrMask, mxcsr::kValid);
    for (std::size_t n = 0; n < regs.vector.size(); ++n) {
        std::memcpy(image.data() + fxsave::kXmm + n * 16, regs.vector[n].data(), 16);
        std::memcpy(image.data() + xsave::kAvxOffset + n * 16, regs.vector[n].data() + 16, 16);
    }
    for_each_component(regs, components, true, [&](unsigned n, std::span<const std::uint8_t> from) {
        std::memcpy(image.data() + p.model.xsave.standard_offset(n), from.data(), from.size());
        return true;
    });
    put(image, xsave::kXstateBv, components);
    return image;
}

bool load_xsave_image(Processor& p, std::span<const std::uint8_t> image) {
    RegisterFile& regs = p.regs;
    if (image.empty()) {
        reset_x87(regs);
        return true;
    }
    if (image.size() < xsave::kHeaderEnd) return false;
    const auto present = take<std::uint64_t>(image, xsave::kXstateBv);
    const auto control = take<std::uint32_t>(image, fxsave::kMxcsr);
    if (take<std::uint64_t>(image, xsave::kXcompBv) != 0 || (present & ~p.model.xsave.components()) != 0) return false;
    if (image.size() < p.model.xsave.standard_bytes(present)) return false;
    const bool has_mxcsr = (present & (xsave::kSse | xsave::kAvx)) != 0;
    if (has_mxcsr && (control & ~mxcsr::kValid) != 0) return false;

    reset_x87(regs);
    if ((present & xsave::kX87) != 0) {
        std::memcpy(regs.legacy.data(), image.data(), fxsave::kMxcsr);
        std::memcpy(regs.legacy.data() + fxsave::kRegisters, image.data() + fxsave::kRegisters,
                    fxsave::kXmm - fxsave::kRegisters);
        normalise_x87(regs);
    }
    if (has_mxcsr) regs.mxcsr = control;
    for (std::size_t n = 0; n < regs.vector.size(); ++n) {
        if ((present & xsave::kSse) != 0) {
            std::memcpy(regs.vector[n].data(), image.data() + fxsave::kXmm + n * 16, 16);
        }
        if ((present & xsave::kAvx) != 0) {
            std::memcpy(regs.vector[n].data() + 16, image.data() + xsave::kAvxOffset + n * 16, 16);
        }
    }
    for_each_component(regs, present, true, [&](unsigned n, std::span<std::uint8_t> to) {
        std::memcpy(to.data(), image.data() + p.model.xsave.standard_offset(n), to.size());
        return true;
    });
    note_hi256(regs);
    return true;
}

} // namespace touka::cpu::interpreter
