// Host code per guest instruction, against golden/*.golden. `./dev golden --update` writes the files anew.
#include <gtest/gtest.h>

#include <cstdlib>

#include "cpu/interpreter/host_avx512.hpp"
#include "cpu/translator/golden_file.hpp"

namespace touka::cpu::translator {
namespace {

class GoldenHostCode : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(GoldenHostCode, IsWhatTheFileSays) {
    const GoldenFile file(GetParam());
    ASSERT_FALSE(file.cases().empty());
    BlockMaker maker;
    std::string whole = file.head();
    const bool updating = std::getenv("TOUKA_GOLDEN_UPDATE") != nullptr;
    for (const GoldenCase& golden : file.cases()) {
        if (golden.has_option("[avx512]") && !interpreter::host_has_avx512()) {
            whole += golden.text;
            continue;
        }
        EXPECT_FALSE(golden.code.empty()) << golden.title;
        const std::string made = golden.generate(maker);
        whole += made;
        if (updating) continue;
        EXPECT_EQ(golden.text, made) << "if that is as it should be: ./dev golden --update, and look at git diff";
    }
    if (updating) std::ofstream(GetParam()) << whole;
}

INSTANTIATE_TEST_SUITE_P(Golden, GoldenHostCode, testing::ValuesIn(GoldenFile::paths()),
                         [](const auto& file) { return file.param.stem().string(); });

} // namespace
} // namespace touka::cpu::translator
