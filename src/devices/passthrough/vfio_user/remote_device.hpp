// A device that a vfio-user server has: the client's role. (vfio-user Protocol, "Server Disconnection")
// Areas that the server shares are reached by this process without messages, too, doorbells by their eventfd.
#pragma once

#include <atomic>
#include <chrono>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "devices/passthrough/device_transport.hpp"
#include "devices/passthrough/dma_fault_log.hpp"
#include "devices/passthrough/vfio_user/client_connection.hpp"
#include "devices/passthrough/vfio_user/remote_layout.hpp"

namespace touka::devices::passthrough {

/// The server is not trusted: what it says is checked, it reaches no memory but what was granted (rule T5), and one
/// that does not answer is given up after a time. It is dialled again until it is back with a device of the same shape.
/// Two threads of its own: one reads, one recovers.
class RemoteDevice final : public DeviceTransport, private TranslatingDevice {
public:
    struct Settings {
        std::string name; ///< the requester in faults
        /// A connected socket, or why there is none.
        std::function<std::expected<runtime::UniqueFd, std::string>()> dial;
        std::chrono::milliseconds answer_limit{5000};
        std::chrono::milliseconds reset_limit{10000};
        std::chrono::milliseconds retry{500};
        bool posted_writes = true; ///< to BARs
        /// A server that can asks for translations and keeps them. It is granted all memory at the guest's addresses.
        bool address_translation = false;
    };
    /// @param dma the guest's memory, for accesses that the server asks for; outlives the device. It also hears of
    /// those that are refused: an IOMMU in between tells its guest.
    [[nodiscard]] static std::expected<std::unique_ptr<RemoteDevice>, std::string> connect(Settings settings,
                                                                                           memory::DmaSpace& dma);
    /// Dials a unix socket's path.
    [[nodiscard]] static std::function<std::expected<runtime::UniqueFd, std::string>()> dialer(std::string path);
    ~RemoteDevice() override;

    void set_listener(TransportListener* listener) override;
    [[nodiscard]] bool can_reset() const override { return shape_->can_reset; }
    [[nodiscard]] bool can_migrate() const override { return shape_->can_migrate; }
    [[nodiscard]] std::uint64_t region_bytes(std::uint32_t region) const override;
    [[nodiscard]] InterruptDescription interrupts(std::uint32_t index) const override;
    [[nodiscard]] RegionMemory region_memory(std::uint32_t region) override;
    [[nodiscard]] Result read(std::uint32_t region, std::uint64_t offset, std::span<std::byte> to) override;
    [[nodiscard]] Result write(std::uint32_t region, std::uint64_t offset, std::span<const std::byte> from) override;
    [[nodiscard]] Result set_events(std::uint32_t index, std::uint32_t start, std::span<const int> events) override;
    [[nodiscard]] Result unmask(std::uint32_t index, std::uint32_t number) override;
    [[nodiscard]] Result disable(std::uint32_t index) override;
    [[nodiscard]] Result map_dma(const MemoryGrant& grant) override;
    [[nodiscard]] Result unmap_dma(memory::Iova start, std::uint64_t length_bytes) override;
    [[nodiscard]] TranslatingDevice* translating() override { return translates_ ? this : nullptr; }
    [[nodiscard]] Result reset() override;
    [[nodiscard]] Result set_migration_state(spec::vfio::MigrationState state) override;
    [[nodiscard]] std::expected<std::vector<std::byte>, TransportError> read_state() override;
    [[nodiscard]] Result write_state(std::span<const std::byte> state) override;

    [[nodiscard]] DmaFaultLog& faults() { return faults_; }
    /// What the server of now has, for who reaches shared areas by himself; null while there is none.
    [[nodiscard]] std::shared_ptr<const RemoteLayout> layout() { return link().layout; }

private:
    /// Both of one connection; empty while there is none.
    struct Link {
        std::shared_ptr<ClientConnection> connection; // of calls that are going on, too
        std::shared_ptr<const RemoteLayout> layout;
    };
    RemoteDevice(Settings settings, memory::DmaSpace& dma);
    [[nodiscard]] std::expected<Link, std::string> establish();
    void on_lost();
    void recover();
    [[nodiscard]] Link link();
    [[nodiscard]] std::expected<Message, TransportError> call(Command command, std::span<const std::byte> payload,
                                                              std::span<const int> descriptors = {});
    [[nodiscard]] Result set_irqs(std::uint32_t flags, std::uint32_t index, std::uint32_t start, std::uint32_t count,
                                  std::span<const int> descriptors = {});
    [[nodiscard]] Result send_grant(ClientConnection& connection, const MemoryGrant& grant) const;
    void set_agent(TranslationAgent* agent) override;
    void invalidate(std::span<const AddressExtent> extents, bool addresses_are_translated) override;
    [[nodiscard]] Result send_invalidation(ClientConnection& connection, std::span<const AddressExtent> extents,
                                           bool addresses_are_translated) const;
    [[nodiscard]] std::expected<std::vector<std::byte>, int> serve_translation(const Message& command);
    /// A command of the server. On the reading thread.
    [[nodiscard]] std::expected<std::vector<std::byte>, int> serve(const Message& command);
    /// The first address that it may not reach, if there is one. @pre grants_mutex_ is held.
    [[nodiscard]] std::optional<memory::Iova> not_granted(memory::Iova start, std::uint64_t length_bytes,
                                                          memory::DmaAccess access) const;
    [[nodiscard]] std::unexpected<int> refuse(memory::Iova address, std::uint64_t length_bytes,
                                              memory::DmaAccess access);

    Settings settings_;
    memory::DmaSpace& dma_;
    DmaFaultLog faults_;
    std::shared_ptr<const RemoteLayout> shape_; // of the first connection; sizes and counts never change
    std::atomic<bool> translates_{false};       // as of the first connection
    runtime::Guarded<Link> link_;               // within the next two, otherwise alone
    std::mutex agent_mutex_;                    // held while the agent is asked
    TranslationAgent* agent_ = nullptr;
    std::mutex grants_mutex_;                    // taken alone, also while a granted access is performed
    bool addresses_are_translated_ = false;      // under grants_mutex_
    std::map<memory::Iova, MemoryGrant> grants_; // disjoint, since servers refuse others
    std::uint64_t grant_changes_ = 0;
    std::mutex listener_mutex_; // held while the listener is told
    TransportListener* listener_ = nullptr;
    std::atomic<bool> ending_{false};
    runtime::Reactor reader_{"vfio-user"};
    runtime::Reactor recovery_{"vfio-user-back"};
    std::unique_ptr<runtime::Timer> retry_;
};

} // namespace touka::devices::passthrough
