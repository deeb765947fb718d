#include "cpu/translator/verified_state.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <ranges>
#include <span>

#include "spec/x86/floating_point_state.hpp"

namespace touka::cpu::translator {

namespace fxsave = spec::x86::fxsave;

namespace {

using Image = std::array<std::uint8_t, fxsave::kBytes>;

constexpr std::size_t kX87Registers = 8, kX87RegisterBytes = 10;

/// What FXSAVE64 says of the registers; pointers and reserved bytes say nothing.
std::span<const std::uint8_t> head(const Image& image) { return std::span(image).first(fxsave::kTags + 1); }
std::span<const std::uint8_t> x87_register(const Image& image, std::size_t n) {
    return std::span(image).subspan(fxsave::kRegisters + n * fxsave::kRegisterStride, kX87RegisterBytes);
}

bool same_x87(const Image& a, const Image& b) {
    if (!std::ranges::equal(head(a), head(b))) return false;
    for (std::size_t n = 0; n < kX87Registers; ++n)
        if (!std::ranges::equal(x87_register(a, n), x87_register(b, n))) return false;
    return true;
}

/// Little-endian bytes as one number.
std::string number(std::span<const std::uint8_t> bytes) {
    return fmt::format("{:02x}", fmt::join(bytes | std::views::reverse, ""));
}

} // namespace

void VerifiedState::take(const interpreter::Processor& p, RegisterParts parts) {
    gpr = p.regs.gpr;
    rip = p.rip;
    rflags = p.rflags();
    fs_base = p.segment(SegmentName::kFs).base;
    gs_base = p.segment(SegmentName::kGs).base;
    kernel_gs_base = p.msr.kernel_gs_base;
    mxcsr = p.regs.mxcsr;
    // Large, and taken for each instruction.
    if (parts.vectors) {
        vector = p.regs.vector;
        hi16_zmm = p.regs.hi16_zmm;
        zmm_hi256 = p.regs.zmm_hi256;
        opmask = p.regs.opmask;
    }
    if (parts.x87) x87 = p.regs.legacy;
}

bool VerifiedState::has_same_vectors(const VerifiedState& o) const {
    return vector == o.vector && hi16_zmm == o.hi16_zmm && zmm_hi256 == o.zmm_hi256 && opmask == o.opmask;
}

bool VerifiedState::equals(const VerifiedState& o, RegisterParts parts) const {
    return gpr == o.gpr && rip == o.rip && rflags == o.rflags && fs_base == o.fs_base && gs_base == o.gs_base &&
           kernel_gs_base == o.kernel_gs_base && mxcsr == o.mxcsr && (!parts.vectors || has_same_vectors(o)) &&
           (!parts.x87 || same_x87(x87, o.x87));
}

std::vector<VerifiedState::Field> VerifiedState::fields(RegisterParts parts) const {
    static constexpr std::array kNames{"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                       "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    std::vector<Field> all;
    const auto add = [&](std::string name, std::uint64_t value) {
        all.push_back({std::move(name), fmt::format("{:016x}", value)});
    };
    for (std::size_t n = 0; n < kNames.size(); ++n) add(kNames[n], gpr[n]);
    add("rip", rip);
    add("rflags", rflags);
    add("fs", fs_base);
    add("gs", gs_base);
    add("kernel gs", kernel_gs_base);
    add("mxcsr", mxcsr);
    for (std::size_t n = 0; parts.vectors && n < vector.size(); ++n)
        all.push_back({fmt::format("zmm{}", n), number(zmm_hi256[n]) + number(vector[n])});
    for (std::size_t n = 0; parts.vectors && n < hi16_zmm.size(); ++n)
        all.push_back({fmt::format("zmm{}", n + vector.size()), number(hi16_zmm[n])});
    for (std::size_t n = 0; parts.vectors && n < opmask.size(); ++n) add(fmt::format("k{}", n), opmask[n]);
    if (!parts.x87) return all;
    all.push_back({"ftw fsw fcw", number(head(x87))});
    for (std::size_t n = 0; n < kX87Registers; ++n)
        all.push_back({fmt::format("st{}", n), number(x87_register(x87, n))});
    return all;
}

} // namespace touka::cpu::translator
