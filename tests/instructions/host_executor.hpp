// The bare host: the instruction's bytes run at CPL 3 in this very process, at their own linear address.
#pragma once

#include <cstddef>

#include "instructions/executor.hpp"

namespace touka::tests::instructions {

/// Enters by rewriting the context of a signal handler and leaves by the signal that the next trap or fault raises.
/// One at a time; owns the handlers of SIGTRAP, SIGSEGV, SIGBUS, SIGFPE and SIGILL while it lives. (signal(7),
/// sigreturn(2); Linux puts vector, error code and CR2 into the context)
class HostExecutor final : public Executor {
public:
    HostExecutor();
    ~HostExecutor() override;
    HostExecutor(const HostExecutor&) = delete;
    HostExecutor& operator=(const HostExecutor&) = delete;

    [[nodiscard]] std::string_view name() const override { return "host"; }
    void run(const Case& test, Result& result) override;

    /// Some hypervisors' kernels cannot do all that the hardware does, which is found out by trying.
    /// @return whether what run() made of the case says something about the hardware.
    [[nodiscard]] bool is_telling(const Case& test, const Result& result) const;
    [[nodiscard]] bool runs_32bit_code() const { return runs_32bit_code_; }

private:
    [[nodiscard]] bool completes_a_nop(bool compat, std::uint64_t rsp);

    bool runs_32bit_code_ = false;
    bool keeps_any_stack_pointer_ = false; ///< non-canonical ones too; else what touches them is #GP(0)
    std::byte* alias_ = nullptr;           // all pages once more, writable
    void* signal_stack_ = nullptr;
};

} // namespace touka::tests::instructions
