#include "cpu/translator/difference_report.hpp"

#include <Zydis/Zydis.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cstring>
#include <memory>
#include <span>

#include "cpu/translator/block_steps.hpp"
#include "spec/address.hpp"

namespace touka::cpu::translator {
namespace {

std::string line(std::uint64_t address, std::span<const std::uint8_t> bytes, std::string_view text) {
    constexpr std::size_t kShown = 15;
    const auto shown = bytes.first(std::min(bytes.size(), kShown));
    return fmt::format("  {:016x}  {:<45}{}\n", address, fmt::format("{:02x}", fmt::join(shown, " ")), text);
}

/// One line an instruction; what is none is one line a byte.
std::string disassembly(std::uint64_t address, std::span<const std::uint8_t> code) {
    std::string text;
    while (!code.empty()) {
        ZydisDisassembledInstruction i;
        const bool ok =
            ZYAN_SUCCESS(ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, address, code.data(), code.size(), &i));
        const std::size_t length_bytes = ok ? i.info.length : 1;
        text += line(address, code.first(length_bytes), ok ? i.text : "(none)");
        address += length_bytes;
        code = code.subspan(length_bytes);
    }
    return text;
}

std::string guest_code(const memory::GuestMemory& memory, const Translation& t, std::uint64_t rip) {
    const auto block = std::make_unique<GuestBlock>();
    decode_again(memory, t, *block);
    std::string text;
    for (std::size_t n = 0; n < block->count; ++n) {
        const GuestInstruction& i = block->instructions[n];
        const std::uint64_t at = rip - t.offset + i.offset;
        text += disassembly(at, std::span(i.decoded.bytes).first(i.decoded.info.length));
    }
    return text;
}

std::string states(const DifferenceReport& report) {
    const auto before = report.before.fields(report.parts);
    const auto interpreted = report.interpreted.fields(report.parts);
    const auto translated = report.translated.fields(report.parts);
    std::string text = fmt::format("  {:<12}{:<18}{:<18}{}\n", "", "before", "interpreter", "translator");
    for (std::size_t n = 0; n < before.size(); ++n) {
        const bool differs = interpreted[n].value != translated[n].value;
        if (!differs && n >= VerifiedState::kFirstFields) continue;
        text += fmt::format("{} {:<12}{}  {}  {}\n", differs ? '*' : ' ', before[n].name, before[n].value,
                            interpreted[n].value, translated[n].value);
    }
    return text;
}

} // namespace

std::string DifferenceReport::text() const {
    const Translation& t = translation;
    std::string text = fmt::format("{}\nguest code, at physical {:x}, {}:\n", what, t.page * spec::kPageSize + t.offset,
                                   t.mode == BlockMode::kUser ? "user" : "supervisor");
    text += guest_code(memory, t, before.rip);
    text += "host code:\n";
    text += disassembly(reinterpret_cast<std::uintptr_t>(t.code), std::span(t.code, t.code_bytes));
    text += states(*this);
    if (stored)
        text +=
            fmt::format("* memory at physical {:x}: interpreter {:02x}, translator {:02x}\n", stored->physical.value,
                        std::to_integer<unsigned>(stored->rehearsed), std::to_integer<unsigned>(stored->actual));
    return text;
}

} // namespace touka::cpu::translator
