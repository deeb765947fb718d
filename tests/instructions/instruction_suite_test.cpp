// Each instruction form on the bare host and on an engine, everything compared.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <string>

#include "instructions/case_maker.hpp"
#include "instructions/form.hpp"
#include "instructions/suite_fixture.hpp"

namespace touka::tests::instructions {
namespace {

constexpr std::size_t kMinimumForms = 3000;
constexpr unsigned kRunsEach = 10;
constexpr std::array kFaultPlacements = {Placement::kAcrossPages,  Placement::kUnmapped,
                                         Placement::kReadOnly,     Placement::kIntoNothing,
                                         Placement::kIntoReadOnly, Placement::kOutOfTheAddressSpace};

/// All forms, each with operands at harmless places and each memory operand at each kind of fault.
void run_suite(Suite& suite) {
    const std::uint64_t seed = number_from_environment("TOUKA_SUITE_SEED", 1);
    const auto runs = static_cast<unsigned>(number_from_environment("TOUKA_SUITE_RUNS", kRunsEach));
    const char* filter = std::getenv("TOUKA_SUITE_FORM");
    const auto forms = enumerate_forms();
    EXPECT_GE(forms.size(), kMinimumForms);
    std::size_t tested = 0;
    for (const auto& form : forms) {
        if (filter != nullptr && form.key.find(filter) == std::string::npos) continue;
        ++tested;
        Random random(seed ^ std::hash<std::string>{}(form.key));
        const Memory memory = random_memory(random);
        const auto check = [&](std::size_t operand, Placement placement) {
            if (auto test = make_case(form, memory, operand, placement, random)) suite.check(form.key, *test);
        };
        for (unsigned n = 0; n < runs; ++n) check(0, n % 2 == 0 ? Placement::kAligned : Placement::kAnywhere);
        const std::size_t operands = memory_operand_count(form);
        for (std::size_t operand = 0; operand < operands; ++operand) {
            for (const auto placement : kFaultPlacements) check(operand, placement);
        }
    }
    suite.report(tested, seed);
    EXPECT_EQ(suite.differing(), 0u);
}

TEST_P(InstructionSuite, EveryFormDoesWhatTheHostDoes) {
    Suite suite(host_, *guest_);
    run_suite(suite);
}

INSTANTIATE_TEST_SUITE_P(Engines, InstructionSuite, all_engines(), engine_name);

} // namespace
} // namespace touka::tests::instructions
