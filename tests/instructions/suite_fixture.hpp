#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "cpu/interpreter/interpreter_engine.hpp"
#include "instructions/guest_tables.hpp"
#include "instructions/host_executor.hpp"
#include "instructions/suite.hpp"
#include "instructions/vcpu_executor.hpp"

namespace touka::tests::instructions {

/// The bare host and the interpreter.
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

} // namespace touka::tests::instructions
