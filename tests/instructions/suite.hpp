// Counts and shows what differs between two executors.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "instructions/executor.hpp"
#include "instructions/host_executor.hpp"
#include "instructions/machine_state.hpp"
#include "instructions/random.hpp"

namespace touka::tests::instructions {

/// Code pages full of INT3, the others full of interesting values.
[[nodiscard]] Memory random_memory(Random& random);

class Suite {
public:
    Suite(HostExecutor& host, Executor& engine) : host_(host), engine_(engine) {}

    /// Runs the case on both. @return what the host made of it, valid until the next call.
    const Result& check(const std::string& form, Case& test);
    /// Prints the differences and one line of summary.
    void report(std::size_t forms, std::uint64_t seed) const;
    [[nodiscard]] std::size_t differing() const { return differing_; }

private:
    HostExecutor& host_;
    Executor& engine_;
    Result expected_, actual_;
    std::size_t runs_ = 0, differing_ = 0, not_told_ = 0;
    std::array<std::size_t, 32> vectors_{};
    std::map<std::string, std::pair<unsigned, std::string>> by_form_; ///< how often, and the first ones as text
};

} // namespace touka::tests::instructions
