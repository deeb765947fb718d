#include "cpu/translator/listing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <span>

#include "cpu/translator/register_map.hpp"

namespace touka::cpu::translator {
namespace {

constexpr std::size_t kTextBytes = 128;
constexpr std::string_view kIndent = "        ";
constexpr int kGuestColumn = 33;

template <class Tool, class Init>
Tool made(Init init) {
    Tool tool{};
    init(tool);
    return tool;
}

const ZydisDecoder& decoder() {
    static const auto d = made<ZydisDecoder>(
        [](ZydisDecoder& to) { ZydisDecoderInit(&to, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64); });
    return d;
}

const ZydisFormatter& formatter() {
    static const auto f = made<ZydisFormatter>([](ZydisFormatter& to) {
        ZydisFormatterInit(&to, ZYDIS_FORMATTER_STYLE_INTEL);
        ZydisFormatterSetProperty(&to, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_TRUE);
        ZydisFormatterSetProperty(&to, ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE, ZYDIS_PADDING_DISABLED);
        ZydisFormatterSetProperty(&to, ZYDIS_FORMATTER_PROP_ADDR_PADDING_RELATIVE, ZYDIS_PADDING_DISABLED);
        ZydisFormatterSetProperty(&to, ZYDIS_FORMATTER_PROP_DISP_PADDING, ZYDIS_PADDING_DISABLED);
        ZydisFormatterSetProperty(&to, ZYDIS_FORMATTER_PROP_IMM_PADDING, ZYDIS_PADDING_DISABLED);
    });
    return f;
}

/// Bytes and disassembly; jumps lead to offsets from the start of the page.
std::string guest_text(const GuestInstruction& i) {
    std::string bytes;
    for (const std::uint8_t byte : std::span(i.decoded.bytes).first(i.decoded.info.length))
        bytes += fmt::format("{:02X} ", byte);
    if (i.decoded.info.length == 0) return "(not an instruction of this page)\n";
    std::array<char, kTextBytes> text{};
    ZydisFormatterFormatInstruction(&formatter(), &i.decoded.info, i.decoded.operands.data(),
                                    i.decoded.info.operand_count_visible, text.data(), text.size(), i.offset, nullptr);
    return fmt::format("{:<{}}; {}\n", bytes, kGuestColumn, text.data());
}

std::string_view size_name(unsigned bits) {
    switch (bits) {
        case 8: return "byte ";
        case 16: return "word ";
        case 32: return "dword ";
        case 64: return "qword ";
        case 80: return "tbyte ";
        case 128: return "xmmword ";
        case 256: return "ymmword ";
        case 512: return "zmmword ";
        default: return "";
    }
}

bool is_immediate(const ZydisDecodedOperand& o) { return o.type == ZYDIS_OPERAND_TYPE_IMMEDIATE; }

} // namespace

std::optional<std::int64_t> HostInstruction::target() const {
    if (info.operand_count_visible != 1 || !is_immediate(operands[0]) || !operands[0].imm.is_relative) return {};
    return at + info.length + operands[0].imm.value.s;
}

Listing::Listing(const TranslatedBlock& block, Detail detail)
    : block_(block), detail_(detail), main_(block.host.entries.home_without_poll),
      start_(detail == Detail::kWhole ? 0 : main_), names_(block.offsets, block.thunks) {
    decode(0, block.host.code_bytes);
    decode(block.outline.stubs, stubs_end());
    for (const HostInstruction& i : instructions_) {
        const auto target = i.target();
        const bool shown = detail == Detail::kWhole || (i.at >= start_ && i.at < block.host.code_bytes);
        if (shown && target && *target >= 0 && *target < block.host.code_bytes) labels_.push_back(*target);
    }
    std::ranges::sort(labels_);
    labels_.erase(std::unique(labels_.begin(), labels_.end()), labels_.end());
}

void Listing::decode(std::int64_t from, std::int64_t to) {
    for (std::int64_t at = from; at < to; at += instructions_.back().info.length) {
        HostInstruction& i = instructions_.emplace_back();
        i.at = at;
        const std::span rest(block_.host.code + at, static_cast<std::size_t>(to - at));
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder(), rest.data(), rest.size(), &i.info, i.operands.data())))
            std::abort(); // the emitter's bytes
    }
}

std::size_t Listing::count(std::int64_t from, std::int64_t to) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(instructions_, [=](const HostInstruction& i) { return i.at >= from && i.at < to; }));
}

std::optional<std::string_view> Listing::thunk_at(std::int64_t target) const {
    return names_.thunk(block_.host.code + target);
}

/// The thunk that a stub goes to. The one that leads to another block is `mov ecx, number; jmp exit_link`.
std::string Listing::stub_text(std::int64_t target) const {
    std::uint64_t number = 0;
    for (auto i = std::ranges::find(instructions_, target, &HostInstruction::at); i != instructions_.end(); ++i) {
        if (i->info.mnemonic == ZYDIS_MNEMONIC_MOV && is_immediate(i->operands[1])) number = i->operands[1].imm.value.u;
        const auto onward = i->target();
        const auto thunk = onward ? thunk_at(*onward) : std::nullopt;
        if (!thunk) continue;
        if (!thunk->starts_with("exit_link")) return std::string(*thunk);
        const Link& link = block_.links[number];
        return fmt::format("{}:{:03X}", link.grouped == block_.host.grouped ? "block" : "single", link.target);
    }
    return "?";
}

std::string Listing::target_text(std::int64_t target) const {
    if (const auto thunk = thunk_at(target)) return std::string(*thunk);
    if (target >= block_.outline.stubs && target < stubs_end()) return stub_text(target);
    return fmt::format("L{}", std::ranges::lower_bound(labels_, target) - labels_.begin() + 1);
}

std::string Listing::memory_text(const ZydisDecodedOperand& o) const {
    const auto& m = o.mem;
    std::string place;
    std::int64_t displacement = m.disp.has_displacement ? m.disp.value : 0;
    if (m.base == ZYDIS_REGISTER_RSP) {
        place = names_.frame_member(displacement);
        displacement = place.empty() ? displacement : 0;
    } else if (m.base == ZYDIS_REGISTER_RAX + kHostTable) {
        place = HostNames::table_member(displacement);
        displacement = place.empty() ? displacement : 0;
    }
    if (place.empty()) place = m.base == ZYDIS_REGISTER_NONE ? "" : ZydisRegisterGetString(m.base);
    if (m.index != ZYDIS_REGISTER_NONE) {
        place += fmt::format("{}{}", place.empty() ? "" : "+", ZydisRegisterGetString(m.index));
        if (m.scale != 1) place += fmt::format("*{}", m.scale);
    }
    if (displacement != 0) place += fmt::format("{}0x{:X}", displacement < 0 ? '-' : '+', std::abs(displacement));
    return fmt::format("{}[{}]", m.type == ZYDIS_MEMOP_TYPE_AGEN ? "" : size_name(o.size), place);
}

std::string Listing::operand_text(const HostInstruction& i, const ZydisDecodedOperand& o) const {
    if (const auto target = i.target()) return target_text(*target);
    if (o.type == ZYDIS_OPERAND_TYPE_MEMORY) return memory_text(o);
    const ZydisDecodedOperand& first = i.operands[0];
    const bool to_exit_data = first.type == ZYDIS_OPERAND_TYPE_MEMORY && first.mem.base == ZYDIS_REGISTER_RSP &&
                              first.mem.disp.value == static_cast<std::int64_t>(block_.offsets.exit_data);
    if (to_exit_data && is_immediate(o)) {
        const char* mnemonic = ZydisMnemonicGetString(static_cast<ZydisMnemonic>(o.imm.value.u));
        return mnemonic != nullptr ? mnemonic : "?";
    }
    std::array<char, kTextBytes> text{};
    ZydisFormatterFormatOperand(&formatter(), &i.info, &o, text.data(), text.size(), ZYDIS_RUNTIME_ADDRESS_NONE,
                                nullptr);
    return text.data();
}

std::string Listing::host_text(const HostInstruction& i) const {
    std::string text = (i.info.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0 ? "lock " : "";
    text += ZydisMnemonicGetString(i.info.mnemonic);
    for (std::size_t n = 0; n < i.info.operand_count_visible; ++n)
        text += (n == 0 ? " " : ", ") + operand_text(i, i.operands[n]);
    return text;
}

void Listing::append(std::string& text, std::int64_t from, std::int64_t to) const {
    for (const HostInstruction& i : instructions_) {
        if (i.at < from || i.at >= to) continue;
        if (std::ranges::binary_search(labels_, i.at)) text += fmt::format("    {}:\n", target_text(i.at));
        text += fmt::format("{}{}\n", kIndent, host_text(i));
    }
}

std::string Listing::text() const {
    const BlockOutline& outline = block_.outline;
    const std::uint32_t onward = outline.instructions[block_.guest.count];
    std::string text = fmt::format("    guest {}, host {}, stubs {}\n", block_.guest.count, count(main_, onward),
                                   count(outline.stubs, stubs_end()));
    append(text, start_, outline.instructions[0]);
    for (std::size_t n = 0; n < block_.guest.count; ++n) {
        text += guest_text(block_.guest.instructions[n]);
        append(text, outline.instructions[n], outline.instructions[n + 1]);
    }
    if (detail_ == Detail::kMain) return text;
    if (onward != block_.host.code_bytes) text += "    onward:\n";
    append(text, onward, block_.host.code_bytes);
    text += "    stubs:\n";
    append(text, outline.stubs, stubs_end());
    return text;
}

} // namespace touka::cpu::translator
