#pragma once

#include <cstdint>
#include <optional>

#include "cpu/kvm/kvm_interrupts.hpp"
#include "platform/interrupt_line.hpp"

namespace touka::machine {

/// An eventfd that the kernel's KVM takes as a message (irqfd). One thread at a time.
class KernelMsiWire final : public platform::MsiWire {
public:
    /// @param chips, event outlive it; the eventfd does not block.
    KernelMsiWire(cpu::kvm::KvmInterrupts& chips, int event) : chips_(chips), event_(event) {}
    ~KernelMsiWire() override;
    KernelMsiWire(const KernelMsiWire&) = delete;
    KernelMsiWire& operator=(const KernelMsiWire&) = delete;

    /// Not done for addresses that are no interrupts', and when the kernel has no GSI left: it has 4096 in all.
    [[nodiscard]] bool carry(const platform::MsiMessage& message) override;
    void let_go() override;

private:
    cpu::kvm::KvmInterrupts& chips_;
    int event_;
    std::optional<std::uint32_t> gsi_; // kept from the first message on
    platform::MsiMessage message_;
    bool attached_ = false;
};

} // namespace touka::machine
