// MSI-X: a function's table of messages and its pending bits. (PCI Local Bus 3.0 §6.8.2, §6.8.3)
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "platform/address_space.hpp"
#include "platform/interrupt_line.hpp"

namespace touka::platform {

struct MsixState {
    static constexpr std::uint16_t kVersion = 1;
    struct Entry {
        std::uint64_t address = 0;
        std::uint32_t data = 0;
        bool masked = true;
        bool pending = false;
        void describe(auto& archive) { archive(address, data, masked, pending); }
    };
    std::vector<Entry> entries;
    void describe(auto& archive) { archive(entries); }
};

/// Takes vectors by number, where somebody else keeps the table that the driver writes: a client in another process.
/// Any thread.
class MsixOutlet {
public:
    virtual ~MsixOutlet() = default;
    virtual void raise(unsigned vector) = 0;
};

/// Told which message a vector stands for, by who has others than raise() bring it. Any thread, under the table's lock.
class MsixRoutes {
public:
    virtual ~MsixRoutes() = default;
    /// From now on the vector is this message. Nothing: it may not be sent, so that it is raise()'s to remember.
    virtual void route(unsigned vector, const std::optional<MsiMessage>& message) = 0;
};

/// The contents of the BAR that holds table and pending bit array. Any thread; messages leave under its lock, so
/// that none comes after the write that masked it.
class MsixTable final : public IoHandler {
public:
    /// @param vector_count 1 ..= 2048.  @param sink outlives the table.
    MsixTable(unsigned vector_count, MsiSink& sink);

    /// Sends the vector's message, or remembers it while masked. Vectors that do not exist are ignored.
    void raise(unsigned vector);
    /// From now on vectors go there, masked or not, instead of to the sink; null ends that. When this returns, the
    /// earlier outlet is not called any more.
    void set_outlet(MsixOutlet* outlet);
    /// @param routes told from now on what changes; nothing is a message yet. Before anything is enabled; outlives the
    ///   table.
    void follow(MsixRoutes& routes) { routes_ = &routes; }
    /// From the capability and Command.BUS_MASTER: a function that may not master the bus sends nothing.
    void set_control(bool enabled, bool function_masked, bool bus_master);
    [[nodiscard]] bool enabled() const;
    void reset();

    [[nodiscard]] unsigned vector_count() const { return static_cast<unsigned>(entries_.size()); }
    /// Size of the BAR, a power of two: the table lies at 0, the pending bits in the upper half.
    [[nodiscard]] std::uint32_t bar_bytes() const { return bar_bytes_; }
    [[nodiscard]] std::uint32_t pba_offset() const { return bar_bytes_ / 2; }

    [[nodiscard]] MsixState save() const;
    /// @return false when the state is of a table of another size.
    [[nodiscard]] bool restore(const MsixState& state);

    [[nodiscard]] std::uint64_t read(std::uint64_t offset, unsigned width_bytes) override;
    /// Aligned accesses of 4 and 8 bytes; the result of others is undefined (§6.8.2), here they vanish.
    void write(std::uint64_t offset, unsigned width_bytes, std::uint64_t value) override;

private:
    [[nodiscard]] std::uint32_t read_dword(std::uint64_t offset) const;
    void write_dword(std::uint64_t offset, std::uint32_t value);
    void deliver(MsixState::Entry& entry);
    void deliver_pending();
    void tell(const MsixState::Entry& entry);
    void tell_all();
    [[nodiscard]] bool may_send(const MsixState::Entry& entry) const {
        return !entry.masked && enabled_ && !function_masked_ && bus_master_;
    }

    mutable std::mutex mutex_;
    MsiSink& sink_;
    MsixOutlet* outlet_ = nullptr;
    MsixRoutes* routes_ = nullptr;
    std::vector<MsixState::Entry> entries_;
    std::uint32_t bar_bytes_;
    bool enabled_ = false;
    bool function_masked_ = false;
    bool bus_master_ = false;
};

} // namespace touka::platform
