#pragma once

#include <string_view>

#include "instructions/machine_state.hpp"

namespace touka::tests::instructions {

/// Something that can run one instruction: the bare host, or an engine's vCPU.
class Executor {
public:
    virtual ~Executor() = default;
    [[nodiscard]] virtual std::string_view name() const = 0;
    virtual void run(const Case& test, Result& result) = 0;
};

} // namespace touka::tests::instructions
