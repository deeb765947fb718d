// Each instruction form on the bare host and on the interpreter, everything compared.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "instructions/case_maker.hpp"
#include "instructions/form.hpp"
#include "instructions/suite_fixture.hpp"

namespace touka::tests::instructions {
namespace {

constexpr std::size_t kMinimumForms = 3000;
constexpr unsigned kRunsEach = 10;

std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

TEST_F(InstructionSuite, EveryFormDoesWhatTheHostDoes) {
    const std::uint64_t seed = number_from_environment("TOUKA_SUITE_SEED", 1);
    const auto runs = static_cast<unsigned>(number_from_environment("TOUKA_SUITE_RUNS", kRunsEach));
    const char* filter = std::getenv("TOUKA_SUITE_FORM");
    const auto forms = enumerate_forms();
    EXPECT_GE(forms.size(), kMinimumForms);
    Suite suite(host_, *guest_);
    for (const auto& form : forms) {
        if (filter != nullptr && form.key.find(filter) == std::string::npos) continue;
        Random random(seed ^ std::hash<std::string>{}(form.key));
        const Memory memory = random_memory(random);
        const auto check = [&](std::size_t operand, Placement placement) {
            if (auto test = make_case(form, memory, operand, placement, random)) suite.check(form.key, *test);
        };
        for (unsigned n = 0; n < runs; ++n) check(0, n % 2 == 0 ? Placement::kAligned : Placement::kAnywhere);
        const std::size_t operands = memory_operand_count(form);
        for (std::size_t operand = 0; operand < operands; ++operand) {
            for (const auto placement :
                 {Placement::kAcrossPages, Placement::kUnmapped, Placement::kReadOnly, Placement::kIntoNothing,
                  Placement::kIntoReadOnly, Placement::kOutOfTheAddressSpace}) {
                check(operand, placement);
            }
        }
    }
    suite.report(forms.size(), seed);
    EXPECT_EQ(suite.differing(), 0u);
}

} // namespace
} // namespace touka::tests::instructions
