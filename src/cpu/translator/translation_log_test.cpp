#include "cpu/translator/translation_log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <sstream>

#include "cpu/translator/block_fixture.hpp"

namespace touka::cpu::translator {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr std::array<std::uint8_t, 4> kProgram{0x48, 0x89, 0xD8, 0xC3}; // mov rax,rbx; ret

/// function(block) for kProgram at a kernel's address.
void with_block(auto&& function) {
    BlockMaker().translate(kProgram, BlockMode::kUser, [&](TranslatedBlock block) {
        block.rip = 0xFFFF'FFFF'8100'0040;
        function(block);
    });
}

TEST(PerfMap, NamesCodeByTheGuestsLinearAddress) {
    with_block([](const TranslatedBlock& block) {
        EXPECT_EQ(perf_map_line(block),
                  fmt::format("{:x} {:x} guest:ffffffff81000040\n", reinterpret_cast<std::uintptr_t>(block.host.code),
                              block.host.code_bytes));
    });
}

TEST(BlockDump, ShowsWhereABlockComesFromAndBothItsForms) {
    with_block([](const TranslatedBlock& block) {
        const std::string text = block_dump(block);
        EXPECT_THAT(text, StartsWith("== FFFFFFFF81000040, physical 0, user: 4 bytes become "));
        EXPECT_THAT(text, HasSubstr("48 89 D8                         ; mov rax, rbx\n        mov r9, rbx\n"));
        EXPECT_THAT(text, HasSubstr("    stubs:\n"));
    });
}

TEST(TranslationLog, WritesEachBlockAtOnce) {
    auto owned = std::make_unique<std::ostringstream>();
    const std::ostringstream& stream = *owned;
    TranslationLog log(std::move(owned), [](const TranslatedBlock&) { return std::string("a block\n"); });
    with_block([&](const TranslatedBlock& block) {
        log.translated(block);
        log.translated(block);
    });
    EXPECT_EQ(stream.str(), "a block\na block\n");
}

} // namespace
} // namespace touka::cpu::translator
