#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "cpu/interpreter/interpreter_engine.hpp"
#include "cpu/translator/translator_engine.hpp"
#include "instructions/guest_tables.hpp"
#include "instructions/host_executor.hpp"
#include "instructions/suite.hpp"
#include "instructions/vcpu_executor.hpp"

namespace touka::tests::instructions {

enum class TestedEngine { kInterpreter, kTranslator, kVerifiedTranslator };

/// The bare host and an engine that runs on it.
class InstructionSuite : public testing::TestWithParam<TestedEngine> {
protected:
    void SetUp() override {
        auto memory = memory::GuestMemory::create(kGuestRamBytes);
        ASSERT_TRUE(memory);
        memory_ = std::move(*memory);
        if (GetParam() == TestedEngine::kInterpreter)
            take(cpu::interpreter::InterpreterEngine::create(*memory_));
        else
            take(cpu::translator::TranslatorEngine::create(*memory_, GetParam() == TestedEngine::kVerifiedTranslator
                                                                         ? cpu::translator::Checking::kEachBlock
                                                                         : cpu::translator::Checking::kOff));
        ASSERT_TRUE(engine_);
        guest_ = std::make_unique<VcpuExecutor>(*engine_, *memory_);
    }

    void take(auto engine) {
        if (engine) engine_ = std::move(*engine);
    }

    std::unique_ptr<memory::GuestMemory> memory_;
    std::unique_ptr<cpu::CpuEngine> engine_;
    std::unique_ptr<VcpuExecutor> guest_;
    HostExecutor host_;
};

inline std::string engine_name(const testing::TestParamInfo<TestedEngine>& info) {
    switch (info.param) {
        case TestedEngine::kInterpreter: return "Interpreter";
        case TestedEngine::kTranslator: return "Translator";
        case TestedEngine::kVerifiedTranslator: break;
    }
    return "VerifiedTranslator";
}
inline auto all_engines() { return testing::Values(TestedEngine::kInterpreter, TestedEngine::kTranslator); }

/// A number of the environment, for reproducing and extending a run.
[[nodiscard]] inline std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

} // namespace touka::tests::instructions
