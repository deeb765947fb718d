#include "instructions/comparison.hpp"

#include <Zydis/Zydis.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>
#include <span>

namespace touka::tests::instructions {
namespace {

constexpr std::array<const char*, 16> kGprNames = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                                   "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

template <std::size_t N>
std::string hex(const std::array<std::uint8_t, N>& little_endian) {
    std::string text;
    for (std::size_t n = N; n-- > 0;) text += fmt::format("{:02x}", little_endian[n]);
    return text;
}

class Differences {
public:
    void note(std::string_view what, std::uint64_t expected, std::uint64_t actual) {
        if (expected != actual) text_ += fmt::format("    {}: expected {:x}, is {:x}\n", what, expected, actual);
    }
    template <std::size_t N>
    void note(std::string_view what, const std::array<std::uint8_t, N>& expected,
              const std::array<std::uint8_t, N>& actual) {
        if (expected != actual) text_ += fmt::format("    {}: expected {}, is {}\n", what, hex(expected), hex(actual));
    }
    [[nodiscard]] std::string& text() { return text_; }

private:
    std::string text_;
};

bool is_ignored(const Case& test, std::uint64_t linear) {
    for (const auto& [start, length] : test.ignored) {
        if (linear - start < length) return true;
    }
    return false;
}

void compare_memory(const Case& test, const Memory& expected, const Memory& actual, Differences& out) {
    for (std::size_t n = 0; n < kPages.size(); ++n) {
        if (std::memcmp(expected.pages[n].data(), actual.pages[n].data(), kPageBytes) == 0) continue;
        unsigned shown = 0;
        for (std::size_t offset = 0; offset < kPageBytes && shown < 8; ++offset) {
            const std::uint64_t linear = kPages[n].linear + offset;
            if (expected.pages[n][offset] == actual.pages[n][offset] || is_ignored(test, linear)) continue;
            out.note(fmt::format("[{:x}]", linear), expected.pages[n][offset], actual.pages[n][offset]);
            ++shown;
        }
    }
}

/// MXCSR bits that the interpreter does not promise with #XM (simd_exceptions.hpp): PE beside an unmasked overflow or
/// underflow, and all flags of DPPS and DPPD.
std::uint32_t ignored_mxcsr(const Case& test, const Result& expected) {
    constexpr unsigned kSimdException = 19;
    constexpr std::uint32_t kPrecision = 0x20, kOverflowAndUnderflow = 0x18, kFlags = 0x3F;
    if (expected.vector != kSimdException) return 0;
    if (test.ignores_mxcsr_flags) return kFlags;
    const std::uint32_t unmasked = ~(test.before.mxcsr >> 7);
    return (unmasked & expected.after.mxcsr & kOverflowAndUnderflow) != 0 ? kPrecision : 0;
}

} // namespace

std::string differences(const Case& test, const Result& expected, const Result& actual) {
    Differences out;
    out.note("exception", expected.vector, actual.vector);
    if (!out.text().empty()) return std::move(out.text());
    // Linux reports every fault in its own half of the address space as one of rights.
    const std::uint32_t code_mask = expected.cr2 >> 47 != 0 ? ~1u : ~0u;
    out.note("error code", expected.error_code & code_mask, actual.error_code & code_mask);
    const std::uint64_t cr2_mask = test.cr2_by_page ? ~(kPageBytes - 1) : ~std::uint64_t{0};
    out.note("cr2", expected.cr2 & cr2_mask, actual.cr2 & cr2_mask);
    const Registers &e = expected.after, &a = actual.after;
    const std::uint64_t mask = test.compat ? 0xFFFF'FFFF : ~std::uint64_t{0};
    out.note("rip", e.rip & mask, a.rip & mask);
    out.note("rflags", e.rflags & ~test.ignored_flags, a.rflags & ~test.ignored_flags);
    const std::size_t count = test.compat ? 8 : 16;
    for (std::size_t n = 0; n < count; ++n) {
        out.note(kGprNames[n], e.gpr[n] & mask, a.gpr[n] & mask);
    }
    const std::size_t vectors = test.compat ? count : e.zmm.size();
    for (std::size_t n = 0; n < vectors; ++n) out.note(fmt::format("zmm{}", n), e.zmm[n], a.zmm[n]);
    for (std::size_t n = 0; n < e.k.size(); ++n) out.note(fmt::format("k{}", n), e.k[n], a.k[n]);
    const std::uint32_t mxcsr_mask = ~ignored_mxcsr(test, expected);
    out.note("mxcsr", e.mxcsr & mxcsr_mask, a.mxcsr & mxcsr_mask);
    out.note("fcw", e.fcw, a.fcw);
    out.note("fsw", e.fsw, a.fsw);
    out.note("ftw", e.ftw, a.ftw);
    for (std::size_t n = 0; n < 8; ++n) out.note(fmt::format("st{}", n), e.st[n], a.st[n]);
    compare_memory(test, expected.memory, actual.memory, out);
    return std::move(out.text());
}

std::string describe(const Case& test) {
    const auto mode = test.compat ? ZYDIS_MACHINE_MODE_LONG_COMPAT_32 : ZYDIS_MACHINE_MODE_LONG_64;
    std::string out = fmt::format(" {}\n", test.note);
    for (std::size_t at = 0; at < test.bytes.size();) {
        const std::span rest = std::span(test.bytes).subspan(at);
        ZydisDisassembledInstruction text{};
        const bool ok =
            ZYAN_SUCCESS(ZydisDisassembleIntel(mode, test.before.rip + at, rest.data(), rest.size(), &text));
        const std::size_t length = ok ? text.info.length : rest.size();
        out += fmt::format("  {:x} {:02x} {}\n", test.before.rip + at, fmt::join(rest.first(length), ""),
                           ok ? text.text : "");
        at += length;
    }
    out += "   ";
    for (std::size_t n = 0; n < (test.compat ? 8u : 16u); ++n) {
        out += fmt::format(" {}={:x}", kGprNames[n], test.before.gpr[n]);
    }
    for (std::size_t n = 0; n < test.before.k.size(); ++n) out += fmt::format(" k{}={:x}", n, test.before.k[n]);
    out += fmt::format(" rflags={:x} mxcsr={:x} fcw={:x} fsw={:x} ftw={:x}\n", test.before.rflags, test.before.mxcsr,
                       test.before.fcw, test.before.fsw, test.before.ftw);
    return out;
}

} // namespace touka::tests::instructions
