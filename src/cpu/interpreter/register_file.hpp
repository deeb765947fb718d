// The registers that data instructions work on, laid out for host instructions to load and store directly.
#pragma once

#include <array>
#include <cstdint>

#include "cpu/cpu_state.hpp"

namespace touka::cpu::interpreter {

/// CF PF AF ZF SF OF as the host's LAHF and SETO leave them in AX: bits 15:8 = SF ZF 0 AF 0 PF 1 CF, bit 0 = OF.
/// (AMD64 APM vol. 3, LAHF and SETcc)
struct StatusFlags {
    std::uint16_t packed = 0x0200;

    static constexpr std::uint16_t kCF = 0x0100, kPF = 0x0400, kAF = 0x1000, kZF = 0x4000, kSF = 0x8000, kOF = 0x0001;
    /// Their places in RFLAGS.
    static constexpr std::uint64_t kRflagsMask = 0x8D5;
    [[nodiscard]] constexpr std::uint64_t to_rflags() const { return ((packed >> 8) & 0xD5u) | ((packed & 1u) << 11); }
    [[nodiscard]] static constexpr StatusFlags from_rflags(std::uint64_t rflags) {
        return {static_cast<std::uint16_t>(((rflags & 0xD5u) | 2u) << 8 | ((rflags >> 11) & 1u))};
    }
};
static_assert(StatusFlags::from_rflags(0x8D5).to_rflags() == 0x8D5);
static_assert(StatusFlags::from_rflags(0x40).packed == (StatusFlags::kZF | 0x0200));

/// Where the guest's x87 and MMX registers are. They stay in the vCPU thread's own FPU between data instructions,
/// since moving them costs more than most instructions; spill_x87 (x87_state.hpp) brings them home.
enum class X87Place : std::uint8_t {
    kImage,        ///< in RegisterFile::legacy; the host's FPU is as the ABI wants it
    kHost,         ///< in the host's FPU, all exceptions masked; `legacy` is stale
    kHostUnmasked, ///< as kHost, but an exception may be pending: look before each waiting instruction
};

/// @invariant vector[n] holds YMMn; x87 and MMX live where `x87_place` says; the XMM part of `legacy` is stale.
///
/// What AVX-512 adds lies apart, behind everything else: code without it, which is most, touches the same 8 cache lines
/// of vectors as before. The three pieces have the form of their XSAVE components, and are moved as they are.
struct alignas(64) RegisterFile {
    std::array<std::uint64_t, 16> gpr{};
    std::uint64_t zero = 0;      ///< the base or index of addresses that have none; always 0
    std::uint64_t code_base = 0; ///< rip of the first instruction of the running block: base of RIP-relative addresses
    StatusFlags status;
    X87Place x87_place = X87Place::kImage;
    bool hi256_in_use = false; ///< false: zmm_hi256 is all zeros. Whoever writes there keeps it so
    std::uint32_t mxcsr = 0x1F80;
    std::array<std::array<std::uint8_t, 32>, 16> vector{};
    /// FXSAVE64 image: x87 control, status, tags, pointers and ST0-7. (APM vol. 2 §11.4.4)
    alignas(64) std::array<std::uint8_t, 512> legacy{};
    std::array<std::array<std::uint8_t, 64>, 16> hi16_zmm{};  ///< ZMM16 to ZMM31
    std::array<std::array<std::uint8_t, 32>, 16> zmm_hi256{}; ///< bits 511:256 of ZMM0 to ZMM15
    std::array<std::uint64_t, 8> opmask{};
};

} // namespace touka::cpu::interpreter
