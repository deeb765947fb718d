#include "cpu/interpreter/xsave.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "cpu/interpreter/availability.hpp"
#include "cpu/interpreter/avx512_state.hpp"
#include "cpu/interpreter/mode.hpp"
#include "cpu/interpreter/operand_block.hpp"
#include "cpu/interpreter/x87_state.hpp"

namespace touka::cpu::interpreter {

namespace fxsave = spec::x86::fxsave;
namespace mxcsr = spec::x86::mxcsr;
namespace xsave = spec::x86::xsave;
namespace cr4 = spec::x86::cr4;

namespace {

using Area = std::array<std::uint8_t, xsave::kBytes>;

template <class T>
void put(Area& area, std::size_t offset, const T& value) {
    std::memcpy(area.data() + offset, &value, sizeof(T));
}
template <class T>
T take(const Area& area, std::size_t offset) {
    T value;
    std::memcpy(&value, area.data() + offset, sizeof(T));
    return value;
}

/// Outside of 64-bit code only registers 0 to 7 are moved; the places of the others are left alone.
std::size_t vector_count(const Processor& p) { return p.code_size == CodeSize::k64 ? 16 : 8; }

/// Finds the area. @return false with #GP(0) when it is not aligned, or what the address is worth.
bool area_address(Processor& p, const Instruction& i, std::size_t length_bytes, std::uint64_t alignment, bool write,
                  std::uint64_t& linear) {
    const std::size_t index = memory_operand_index(i);
    if (!operand_address(p, i, index, length_bytes, write, linear)) return false;
    if (p.long_mode && !is_canonical(linear)) {
        return p.raise(stack_access(i, index) != 0 ? Exception::kStack : Exception::kGeneralProtection);
    }
    return linear % alignment == 0 || p.raise(Exception::kGeneralProtection);
}

// Component by component, between the register file and a copy of the area.
void save_x87_component(const RegisterFile& regs, Area& area) {
    std::memcpy(area.data(), regs.legacy.data(), fxsave::kMxcsr);
    for (std::size_t n = 0; n < 8; ++n) {
        const std::size_t offset = fxsave::kRegisters + n * fxsave::kRegisterStride;
        std::memcpy(area.data() + offset, regs.legacy.data() + offset, fxsave::kRegisterStride);
    }
}
void load_x87_component(RegisterFile& regs, const Area& area) {
    std::memcpy(regs.legacy.data(), area.data(), fxsave::kMxcsr);
    std::memcpy(regs.legacy.data() + fxsave::kRegisters, area.data() + fxsave::kRegisters,
                fxsave::kXmm - fxsave::kRegisters);
    normalise_x87(regs);
}
void reset_x87_component(RegisterFile& regs) {
    std::memset(regs.legacy.data(), 0, fxsave::kMxcsr);
    std::memset(regs.legacy.data() + fxsave::kRegisters, 0, fxsave::kXmm - fxsave::kRegisters);
    std::memcpy(regs.legacy.data() + fxsave::kControl, &fxsave::kInitialControl, sizeof(fxsave::kInitialControl));
}
void save_mxcsr(const RegisterFile& regs, Area& area) {
    put(area, fxsave::kMxcsr, regs.mxcsr);
    put(area, fxsave::kMxcsrMask, mxcsr::kValid);
}
void save_xmm(const RegisterFile& regs, Area& area, std::size_t count) {
    for (std::size_t n = 0; n < count; ++n) {
        std::memcpy(area.data() + fxsave::kXmm + n * 16, regs.vector[n].data(), 16);
    }
}
void load_xmm(RegisterFile& regs, const Area& area, std::size_t count) {
    for (std::size_t n = 0; n < count; ++n) {
        std::memcpy(regs.vector[n].data(), area.data() + fxsave::kXmm + n * 16, 16);
    }
}
void reset_halves(RegisterFile& regs, std::size_t offset, std::size_t count) {
    for (std::size_t n = 0; n < count; ++n) std::memset(regs.vector[n].data() + offset, 0, 16);
}

/// XSAVE and its kin need CR4.OSXSAVE and a clear TS. (SDM vol. 1 §13.7 to §13.10)
bool check_xsave(Processor& p) {
    if ((p.cr4 & cr4::OSXSAVE) == 0) return p.raise(Exception::kInvalidOpcode);
    return (p.cr0 & spec::x86::cr0::TS) == 0 || p.raise(Exception::kDeviceNotAvailable);
}

/// RFBM: the components that EDX:EAX asks for and XCR0 enables.
std::uint64_t requested_components(const Processor& p) {
    const std::uint64_t low = static_cast<std::uint32_t>(p.regs.gpr[0]),
                        high = static_cast<std::uint32_t>(p.regs.gpr[2]);
    return (high << 32 | low) & p.xcr0;
}

bool write_part(Processor& p, std::uint64_t linear, const Area& area, std::size_t offset, std::size_t length_bytes) {
    return write_block(p, linear + offset, std::span(area).subspan(offset, length_bytes));
}

/// Where the components of AVX-512 are in an area, by their number from kOpmaskComponent on.
using Places = std::array<std::uint64_t, kHi16ZmmComponent - kOpmaskComponent + 1>;

/// @param form XCOMP_BV, or 0 for the standard form.
Places places(const Processor& p, std::uint64_t linear, std::uint64_t components, std::uint64_t form) {
    const XsaveLayout& layout = p.model.xsave;
    Places found{};
    for (unsigned component = kOpmaskComponent; component <= kHi16ZmmComponent; ++component) {
        if ((components >> component & 1) == 0) continue;
        const std::uint32_t offset = form != 0 ? layout.compacted_offset(form & ~xsave::kCompacted, component)
                                               : layout.standard_offset(component);
        found[component - kOpmaskComponent] = linear + offset;
    }
    return found;
}

/// Calls move(place, bytes of the registers) for each of the components.
bool for_each_avx512(Processor& p, std::uint64_t components, const Places& at, auto&& move) {
    return for_each_component(p.regs, components, p.code_size == CodeSize::k64,
                              [&](unsigned component, std::span<std::uint8_t> bytes) {
                                  return move(at[component - kOpmaskComponent], bytes);
                              });
}

bool write_avx512(Processor& p, std::uint64_t linear, std::uint64_t components, std::uint64_t form) {
    if ((components & xsave::kAvx512) == 0) return true;
    return for_each_avx512(p, components, places(p, linear, components, form),
                           [&](std::uint64_t at, std::span<std::uint8_t> from) { return write_block(p, at, from); });
}

/// Whether read_avx512() can do it.
bool probe_avx512(Processor& p, std::uint64_t loaded, const Places& at) {
    return for_each_avx512(p, loaded, at, [&](std::uint64_t place, std::span<std::uint8_t> to) {
        return probe_block(p, place, to.size(), false);
    });
}

/// Straight into the registers.
bool read_avx512(Processor& p, std::uint64_t loaded, std::uint64_t reset, const Places& at) {
    if (!p.regs.hi256_in_use) reset &= ~xsave::kZmmHi256;
    static_cast<void>(for_each_avx512(p, reset, at, [](std::uint64_t, std::span<std::uint8_t> bytes) {
        std::ranges::fill(bytes, std::uint8_t{0});
        return true;
    }));
    const bool done = for_each_avx512(
        p, loaded, at, [&](std::uint64_t place, std::span<std::uint8_t> to) { return read_block(p, place, to); });
    if (((loaded | reset) & xsave::kZmmHi256) != 0) note_hi256(p.regs);
    return done;
}

/// Stores the chosen components. MXCSR goes its own way: it is stored with SSE or, in standard form, with AVX.
bool write_components(Processor& p, std::uint64_t linear, std::uint64_t components, bool with_mxcsr,
                      std::uint64_t form) {
    Area area{};
    const std::size_t count = vector_count(p);
    if ((components & xsave::kX87) != 0) {
        save_x87_component(p.regs, area);
        if (!write_part(p, linear, area, 0, fxsave::kMxcsr)) return false;
        if (!write_part(p, linear, area, fxsave::kRegisters, fxsave::kXmm - fxsave::kRegisters)) return false;
    }
    if (with_mxcsr) {
        save_mxcsr(p.regs, area);
        if (!write_part(p, linear, area, fxsave::kMxcsr, 8)) return false;
    }
    if ((components & xsave::kSse) != 0) {
        save_xmm(p.regs, area, count);
        if (!write_part(p, linear, area, fxsave::kXmm, count * 16)) return false;
    }
    if ((components & xsave::kAvx) != 0) {
        for (std::size_t n = 0; n < count; ++n) {
            std::memcpy(area.data() + xsave::kAvxOffset + n * 16, p.regs.vector[n].data() + 16, 16);
        }
        if (!write_part(p, linear, area, xsave::kAvxOffset, count * 16)) return false;
    }
    return write_avx512(p, linear, components, form);
}

/// The header rules of XRSTOR. (SDM vol. 1 §13.8)
bool is_valid_header(const Processor& p, const Area& area) {
    const auto present = take<std::uint64_t>(area, xsave::kXstateBv);
    const auto form = take<std::uint64_t>(area, xsave::kXcompBv);
    const bool compacted = (form & xsave::kCompacted) != 0;
    const std::uint64_t allowed = compacted ? form & ~xsave::kCompacted & p.xcr0 : p.xcr0;
    if ((present & ~allowed) != 0) return false;
    if (compacted ? (form & ~xsave::kCompacted & ~p.xcr0) != 0 : form != 0) return false;
    const std::size_t reserved_end = compacted ? xsave::kHeaderEnd : xsave::kHeader + 24;
    for (std::size_t n = xsave::kHeader + 16; n < reserved_end; ++n) {
        if (area[n] != 0) return false;
    }
    return true;
}

} // namespace

Outcome execute_fxsave(Processor& p, const Instruction& i) {
    if (!check_available(p, RegisterSet::kX87)) return Outcome::kFault;
    std::uint64_t linear = 0;
    if (!area_address(p, i, fxsave::kBytes, 16, true, linear)) return Outcome::kFault;
    if (!probe_block(p, linear, fxsave::kBytes, true, stack_access(i, memory_operand_index(i)))) return Outcome::kFault;
    spill_x87(p.regs);
    const std::uint64_t components = xsave::kX87 | xsave::kSse;
    return write_components(p, linear, components, true, 0) ? Outcome::kNext : Outcome::kFault;
}

Outcome execute_fxrstor(Processor& p, const Instruction& i) {
    if (!check_available(p, RegisterSet::kX87)) return Outcome::kFault;
    std::uint64_t linear = 0;
    if (!area_address(p, i, fxsave::kBytes, 16, false, linear)) return Outcome::kFault;
    Area area{};
    if (!read_block(p, linear, std::span(area).first(fxsave::kBytes), stack_access(i, memory_operand_index(i))))
        return Outcome::kFault;
    const auto control = take<std::uint32_t>(area, fxsave::kMxcsr);
    if ((control & ~mxcsr::kValid) != 0) {
        p.raise(Exception::kGeneralProtection);
        return Outcome::kFault;
    }
    spill_x87(p.regs);
    load_x87_component(p.regs, area);
    p.regs.mxcsr = control;
    load_xmm(p.regs, area, vector_count(p));
    return Outcome::kNext;
}

Outcome execute_xsave(Processor& p, const Instruction& i) {
    if (!check_xsave(p)) return Outcome::kFault;
    std::uint64_t linear = 0;
    if (!area_address(p, i, xsave::kHeaderEnd, 64, true, linear)) return Outcome::kFault;
    const auto mnemonic = i.info.mnemonic;
    const bool compacted = mnemonic == ZYDIS_MNEMONIC_XSAVEC || mnemonic == ZYDIS_MNEMONIC_XSAVEC64;
    const bool plain = mnemonic == ZYDIS_MNEMONIC_XSAVE || mnemonic == ZYDIS_MNEMONIC_XSAVE64;
    const std::uint64_t requested = requested_components(p);
    const XsaveLayout& layout = p.model.xsave;
    const std::size_t length = compacted ? layout.compacted_bytes(requested) : layout.standard_bytes(requested);
    if (!probe_block(p, linear, length, true, stack_access(i, memory_operand_index(i)))) return Outcome::kFault;

    spill_x87(p.regs);
    std::uint64_t in_use = components_in_use(p.regs);
    if (compacted && p.regs.mxcsr != mxcsr::kInitial) in_use |= xsave::kSse;
    std::uint64_t header[2] = {};
    if (!compacted && !read_linear(p, linear + xsave::kXstateBv, header[0])) return Outcome::kFault;
    header[0] = (header[0] & ~requested) | (requested & in_use);
    header[1] = requested | xsave::kCompacted;
    const std::uint64_t stored = plain ? requested : requested & in_use;
    const bool with_mxcsr = compacted ? (stored & xsave::kSse) != 0 : (requested & (xsave::kSse | xsave::kAvx)) != 0;
    const std::uint64_t form = compacted ? header[1] : 0;
    if (!write_components(p, linear, stored, with_mxcsr, form)) return Outcome::kFault;
    if (!write_linear(p, linear + xsave::kXstateBv, header[0])) return Outcome::kFault;
    if (compacted && !write_linear(p, linear + xsave::kXcompBv, header[1])) return Outcome::kFault;
    return Outcome::kNext;
}

Outcome execute_xrstor(Processor& p, const Instruction& i) {
    if (!check_xsave(p)) return Outcome::kFault;
    std::uint64_t linear = 0;
    if (!area_address(p, i, xsave::kHeaderEnd, 64, false, linear)) return Outcome::kFault;
    Area area{};
    if (!read_block(p, linear, std::span(area).first(xsave::kHeaderEnd), stack_access(i, memory_operand_index(i))))
        return Outcome::kFault;
    if (!is_valid_header(p, area)) {
        p.raise(Exception::kGeneralProtection);
        return Outcome::kFault;
    }
    const std::uint64_t requested = requested_components(p);
    const std::uint64_t loaded = requested & take<std::uint64_t>(area, xsave::kXstateBv);
    const std::uint64_t reset = requested & ~loaded;
    if ((loaded & xsave::kAvx) != 0 &&
        !read_block(p, linear + xsave::kAvxOffset, std::span(area).subspan(xsave::kAvxOffset))) {
        return Outcome::kFault;
    }
    const auto form = take<std::uint64_t>(area, xsave::kXcompBv);
    const Places at = places(p, linear, loaded, form);
    if (!probe_avx512(p, loaded, at)) return Outcome::kFault;
    // In standard form MXCSR is loaded whether or not XSTATE_BV says that the vectors are there. (SDM vol. 1 §13.8.1)
    const bool compacted = (form & xsave::kCompacted) != 0;
    const bool loads_mxcsr = compacted ? (loaded & xsave::kSse) != 0 : (requested & (xsave::kSse | xsave::kAvx)) != 0;
    const auto control = take<std::uint32_t>(area, fxsave::kMxcsr);
    if (loads_mxcsr && (control & ~mxcsr::kValid) != 0) {
        p.raise(Exception::kGeneralProtection);
        return Outcome::kFault;
    }
    spill_x87(p.regs);
    const std::size_t count = vector_count(p);
    if (loads_mxcsr) p.regs.mxcsr = control;
    if (compacted && (reset & xsave::kSse) != 0) p.regs.mxcsr = mxcsr::kInitial;
    if ((loaded & xsave::kX87) != 0) load_x87_component(p.regs, area);
    if ((reset & xsave::kX87) != 0) reset_x87_component(p.regs);
    if ((loaded & xsave::kSse) != 0) load_xmm(p.regs, area, count);
    if ((reset & xsave::kSse) != 0) reset_halves(p.regs, 0, count);
    if ((reset & xsave::kAvx) != 0) reset_halves(p.regs, 16, count);
    if ((loaded & xsave::kAvx) != 0) {
        for (std::size_t n = 0; n < count; ++n) {
            std::memcpy(p.regs.vector[n].data() + 16, area.data() + xsave::kAvxOffset + n * 16, 16);
        }
    }
    return read_avx512(p, loaded, reset, at) ? Outcome::kNext : Outcome::kFault;
}

} // namespace touka::cpu::interpreter
