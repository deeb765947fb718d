#include "instructions/vector_state.hpp"

#include <cstring>

#include "cpu/cpuid.hpp"
#include "cpu/interpreter/avx512_state.hpp"
#include "cpu/interpreter/host_avx512.hpp"
#include "cpu/interpreter/xsave_layout.hpp"
#include "spec/x86/floating_point_state.hpp"

namespace touka::tests::instructions {
namespace {

namespace fxsave = spec::x86::fxsave;
namespace xsave = spec::x86::xsave;

constexpr std::size_t kXmmBytes = 16, kYmmBytes = 32, kZmmBytes = 64;

const cpu::interpreter::XsaveLayout& host_layout() {
    static const cpu::interpreter::XsaveLayout layout(cpu::host_cpuid());
    return layout;
}

/// Calls move(component, offset in the area, place in the registers, bytes) for each piece of a register.
void for_each_vector(auto& registers, auto&& move) {
    for (std::size_t n = 0; n < 16; ++n) {
        auto* zmm = registers.zmm[n].data();
        move(xsave::kSse, fxsave::kXmm + n * kXmmBytes, zmm, kXmmBytes);
        move(xsave::kAvx, xsave::kAvxOffset + n * kXmmBytes, zmm + kXmmBytes, kXmmBytes);
    }
    if (!cpu::interpreter::host_has_avx512()) return;
    const std::size_t opmask = host_layout().standard_offset(cpu::interpreter::kOpmaskComponent),
                      zmm_hi256 = host_layout().standard_offset(cpu::interpreter::kZmmHi256Component),
                      hi16_zmm = host_layout().standard_offset(cpu::interpreter::kHi16ZmmComponent);
    for (std::size_t n = 0; n < 16; ++n) {
        move(xsave::kZmmHi256, zmm_hi256 + n * kYmmBytes, registers.zmm[n].data() + kYmmBytes, kYmmBytes);
        move(xsave::kHi16Zmm, hi16_zmm + n * kZmmBytes, registers.zmm[n + 16].data(), kZmmBytes);
    }
    for (std::size_t n = 0; n < registers.k.size(); ++n)
        move(xsave::kOpmask, opmask + n * sizeof(registers.k[n]), &registers.k[n], sizeof(registers.k[n]));
}

} // namespace

std::uint64_t vector_components() {
    constexpr std::uint64_t kAlways = xsave::kX87 | xsave::kSse | xsave::kAvx;
    return cpu::interpreter::host_has_avx512() ? kAlways | xsave::kAvx512 : kAlways;
}

std::size_t vector_area_bytes() { return host_layout().standard_bytes(vector_components()); }

void put_vectors(const Registers& r, std::span<std::byte> area) {
    const auto put = [&](std::size_t offset, const auto& value) { std::memcpy(&area[offset], &value, sizeof(value)); };
    put(fxsave::kControl, r.fcw);
    put(fxsave::kStatus, r.fsw);
    put(fxsave::kTags, std::uint16_t{r.ftw});
    put(fxsave::kMxcsr, r.mxcsr);
    for (std::size_t n = 0; n < r.st.size(); ++n) put(fxsave::kRegisters + n * fxsave::kRegisterStride, r.st[n]);
    for_each_vector(r, [&](std::uint64_t, std::size_t offset, const void* from, std::size_t length_bytes) {
        std::memcpy(&area[offset], from, length_bytes);
    });
    std::uint64_t present = 0;
    std::memcpy(&present, &area[xsave::kXstateBv], sizeof(present));
    put(xsave::kXstateBv, present | vector_components());
}

void take_vectors(std::span<const std::byte> area, Registers& r) {
    const auto take = [&](std::size_t offset, auto& value) { std::memcpy(&value, &area[offset], sizeof(value)); };
    std::uint64_t present = 0;
    take(xsave::kXstateBv, present);
    r.fcw = fxsave::kInitialControl;
    r.fsw = 0;
    r.ftw = 0;
    for (auto& st : r.st) st.fill(0);
    if ((present & xsave::kX87) != 0) {
        take(fxsave::kControl, r.fcw);
        take(fxsave::kStatus, r.fsw);
        take(fxsave::kTags, r.ftw);
        for (std::size_t n = 0; n < r.st.size(); ++n) take(fxsave::kRegisters + n * fxsave::kRegisterStride, r.st[n]);
    }
    take(fxsave::kMxcsr, r.mxcsr);
    for_each_vector(r, [&](std::uint64_t component, std::size_t offset, void* to, std::size_t length_bytes) {
        if ((present & component) != 0 && offset + length_bytes <= area.size())
            std::memcpy(to, &area[offset], length_bytes);
        else
            std::memset(to, 0, length_bytes);
    });
}

} // namespace touka::tests::instructions
