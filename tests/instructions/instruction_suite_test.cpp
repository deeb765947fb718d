// Each instruction form on the bare host and on the interpreter, everything compared.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "cpu/interpreter/interpreter_engine.hpp"
#include "instructions/case_maker.hpp"
#include "instructions/comparison.hpp"
#include "instructions/form.hpp"
#include "instructions/guest_tables.hpp"
#include "instructions/host_executor.hpp"
#include "instructions/values.hpp"
#include "instructions/vcpu_executor.hpp"

namespace touka::tests::instructions {
namespace {

constexpr std::size_t kMinimumForms = 3000;
constexpr unsigned kRunsEach = 10;
constexpr unsigned kShownPerForm = 2;
constexpr unsigned kShownForms = 400;

std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

Memory random_memory(Random& random) {
    Memory memory;
    memory.pages[0].fill(0xCC);
    for (std::size_t n = 1; n < memory.pages.size(); ++n) {
        fill_interesting(random, memory.pages[n].data(), memory.pages[n].size());
    }
    return memory;
}

/// Runs cases on the host and on an engine and counts what differs.
class Suite {
public:
    Suite(Executor& host, Executor& engine) : host_(host), engine_(engine) {}

    void check(const std::string& form, Case& test) {
        std::copy(test.bytes.begin(), test.bytes.end(), test.memory.at(kEntry));
        host_.run(test, expected_);
        engine_.run(test, actual_);
        ++runs_;
        if (expected_.vector < vectors_.size()) ++vectors_[expected_.vector];
        const std::string found = differences(test, expected_, actual_);
        if (found.empty()) return;
        ++differing_;
        auto& [count, text] = by_form_[form];
        if (++count <= kShownPerForm) text += describe(test) + found;
    }

    void report(std::size_t forms, std::uint64_t seed) const {
        unsigned shown = 0;
        for (const auto& [form, what] : by_form_) {
            if (++shown > kShownForms) break;
            std::printf("%s: %u runs differ\n%s", form.c_str(), what.first, what.second.c_str());
        }
        for (const auto& [form, what] : by_form_) std::printf("DIFFERS %s: %u\n", form.c_str(), what.first);
        std::printf("%zu forms, %zu runs on %s and %s, %zu differences in %zu forms; seed %#llx\n", forms, runs_,
                    std::string(host_.name()).c_str(), std::string(engine_.name()).c_str(), differing_, by_form_.size(),
                    static_cast<unsigned long long>(seed));
        std::printf("ended by vector:");
        for (std::size_t n = 0; n < vectors_.size(); ++n) {
            if (vectors_[n] != 0) std::printf(" %zu: %zu", n, vectors_[n]);
        }
        std::printf("\n");
    }
    [[nodiscard]] std::size_t differing() const { return differing_; }

private:
    Executor& host_;
    Executor& engine_;
    Result expected_, actual_;
    std::size_t runs_ = 0, differing_ = 0;
    std::array<std::size_t, 32> vectors_{};
    std::map<std::string, std::pair<unsigned, std::string>> by_form_;
};

class InstructionSuite : public testing::Test {
protected:
    void SetUp() override {
        auto memory = memory::GuestMemory::create(kGuestRamBytes);
        ASSERT_TRUE(memory);
        memory_ = std::move(*memory);
        auto engine = cpu::interpreter::InterpreterEngine::create(*memory_);
        ASSERT_TRUE(engine);
        engine_ = std::move(*engine);
        guest_ = std::make_unique<VcpuExecutor>(*engine_, *memory_);
    }

    std::unique_ptr<memory::GuestMemory> memory_;
    std::unique_ptr<cpu::CpuEngine> engine_;
    std::unique_ptr<VcpuExecutor> guest_;
    HostExecutor host_;
};

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
