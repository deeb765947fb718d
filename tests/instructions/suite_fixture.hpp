#pragma once

#include <gtest/gtest.h>

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

enum class TestedEngine { kInterpreter, kTranslator };

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
            take(cpu::translator::TranslatorEngine::create(*memory_));
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
    return info.param == TestedEngine::kInterpreter ? "Interpreter" : "Translator";
}
inline auto all_engines() { return testing::Values(TestedEngine::kInterpreter, TestedEngine::kTranslator); }

} // namespace touka::tests::instructions
