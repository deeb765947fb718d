#include "cpu/interpreter/avx512_state.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "spec/x86/floating_point_state.hpp"

namespace touka::cpu::interpreter {

namespace xsave = spec::x86::xsave;

namespace {

constexpr std::size_t kRegistersOutside64Bit = 8;

// They are moved as they are.
static_assert(sizeof(RegisterFile::opmask) == xsave::kOpmaskBytes);
static_assert(sizeof(RegisterFile::zmm_hi256) == xsave::kZmmHi256Bytes);
static_assert(sizeof(RegisterFile::hi16_zmm) == xsave::kHi16ZmmBytes);

template <class T, std::size_t N>
std::span<std::uint8_t> bytes_of(std::array<T, N>& registers) {
    return {reinterpret_cast<std::uint8_t*>(registers.data()), sizeof(registers)};
}
template <class T, std::size_t N>
std::span<const std::uint8_t> bytes_of(const std::array<T, N>& registers) {
    return {reinterpret_cast<const std::uint8_t*>(registers.data()), sizeof(registers)};
}

} // namespace

bool is_zero(std::span<const std::uint8_t> bytes) {
    // A context switch looks at kilobytes, most of them zero or beginning with what is not.
    using Words = std::array<std::uint64_t, 8>;
    while (bytes.size() >= sizeof(Words)) {
        Words words;
        std::memcpy(&words, bytes.data(), sizeof(words));
        const std::uint64_t sum =
            (words[0] | words[1]) | (words[2] | words[3]) | (words[4] | words[5]) | (words[6] | words[7]);
        if (sum != 0) return false;
        bytes = bytes.subspan(sizeof(words));
    }
    return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

std::span<std::uint8_t> component_bytes(RegisterFile& regs, unsigned component, bool is_64bit) {
    switch (component) {
        case kOpmaskComponent: return bytes_of(regs.opmask);
        case kZmmHi256Component: {
            const auto all = bytes_of(regs.zmm_hi256);
            return is_64bit ? all : all.first(kRegistersOutside64Bit * sizeof(regs.zmm_hi256[0]));
        }
        default: return is_64bit ? bytes_of(regs.hi16_zmm) : std::span<std::uint8_t>{};
    }
}

void note_hi256(RegisterFile& regs) { regs.hi256_in_use = !is_zero(bytes_of(regs.zmm_hi256)); }

std::uint64_t avx512_in_use(const RegisterFile& regs) {
    std::uint64_t used = is_zero(bytes_of(regs.opmask)) ? 0 : xsave::kOpmask;
    if (regs.hi256_in_use && !is_zero(bytes_of(regs.zmm_hi256))) used |= xsave::kZmmHi256;
    if (!is_zero(bytes_of(regs.hi16_zmm))) used |= xsave::kHi16Zmm;
    return used;
}

} // namespace touka::cpu::interpreter
