#include "cpu/translator/translation_log.hpp"

#include <fmt/format.h>

#include "cpu/translator/listing.hpp"

namespace touka::cpu::translator {
namespace {

std::uint64_t host_address(const TranslatedBlock& block) { return reinterpret_cast<std::uintptr_t>(block.host.code); }

} // namespace

std::string block_dump(const TranslatedBlock& block) {
    const Translation& t = block.host;
    return fmt::format("== {:016X}, physical {:X}, {}{}: {} bytes become {} at {:X}\n{}\n", block.rip,
                       t.page * spec::kPageSize + t.offset, t.mode == BlockMode::kUser ? "user" : "supervisor",
                       t.grouped ? "" : ", accesses checked singly", t.length_bytes, t.code_bytes, host_address(block),
                       Listing(block, Listing::Detail::kWhole).text());
}

std::string perf_map_line(const TranslatedBlock& block) {
    return fmt::format("{:x} {:x} guest:{:016x}\n", host_address(block), block.host.code_bytes, block.rip);
}

void TranslationLog::translated(const TranslatedBlock& block) {
    const std::string text = text_(block);
    **to_.lock() << text << std::flush;
}

} // namespace touka::cpu::translator
