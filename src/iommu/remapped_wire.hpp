#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "iommu/interrupt_remapper.hpp"
#include "platform/interrupt_line.hpp"

namespace touka::iommu {

/// A wire whose messages the guest's table decides: carries what the entry says, and goes on with what it says when it
/// was changed and invalidated. What is blocked stays in the eventfd, for who sends it and so records the fault. Any
/// thread.
class RemappedWire final : public platform::MsiWire {
public:
    /// @param remapper, requester outlive it.
    RemappedWire(InterruptRemapper& remapper, const std::atomic<std::uint16_t>& requester,
                 std::unique_ptr<platform::MsiWire> inner);
    ~RemappedWire() override;
    RemappedWire(const RemappedWire&) = delete;
    RemappedWire& operator=(const RemappedWire&) = delete;

    [[nodiscard]] bool carry(const platform::MsiMessage& message) override;
    void let_go() override;
    /// Entries, or who it is of, may have changed.
    void update();

private:
    [[nodiscard]] bool follow();

    InterruptRemapper& remapper_;
    const std::atomic<std::uint16_t>& requester_;
    std::mutex mutex_; // before the inner wire's
    std::unique_ptr<platform::MsiWire> inner_;
    std::optional<platform::MsiMessage> message_; // as the device has it; nothing: let go
    bool carried_ = false;
};

} // namespace touka::iommu
