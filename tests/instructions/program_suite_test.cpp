// Random programs on the bare host and on each engine, everything compared that they leave.
#include <gtest/gtest.h>

#include "instructions/program_forms.hpp"
#include "instructions/program_maker.hpp"
#include "instructions/suite_fixture.hpp"

namespace touka::tests::instructions {
namespace {

constexpr std::uint64_t kPrograms = 500;

class ProgramSuite : public InstructionSuite {};

TEST_P(ProgramSuite, ProgramsDoWhatTheyDoOnTheHost) {
    const std::uint64_t seed = number_from_environment("TOUKA_PROGRAM_SEED", 1);
    const std::uint64_t count = number_from_environment("TOUKA_PROGRAM_COUNT", kPrograms);
    const auto forms = forms_for_programs();
    Suite suite(host_, *guest_);
    for (std::uint64_t n = seed; n < seed + count; ++n) {
        Random random(n);
        Case program = make_program(forms, random);
        // The second time jumps are linked and addresses are known.
        for (int round = 0; round < 2; ++round) suite.check(std::to_string(n), program);
    }
    suite.report(forms.size(), seed);
    EXPECT_EQ(suite.differing(), 0u) << "each program above is named by its seed";
}

INSTANTIATE_TEST_SUITE_P(Engines, ProgramSuite,
                         testing::Values(TestedEngine::kInterpreter, TestedEngine::kTranslator,
                                         TestedEngine::kVerifiedTranslator),
                         engine_name);

} // namespace
} // namespace touka::tests::instructions
