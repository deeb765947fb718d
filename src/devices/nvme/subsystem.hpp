// An NVM subsystem: namespaces, the controllers that they are attached to, and what hosts have reserved.
// (NVM Express Base 2.0 §2.3, §3.2)
// Absent: creating and deleting namespaces (they are the operator's volumes: no capacity is unallocated), NVM subsystem
// reset (it would let a guest on one function reset the others'), ANA, endurance groups, directives, sanitize.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "devices/nvme/namespace.hpp"
#include "devices/nvme/reservations.hpp"
#include "devices/nvme/virtual_resources.hpp"
#include "migration/record.hpp"
#include "platform/device.hpp"

namespace touka::devices::nvme {

class Controller;

struct SubsystemConfiguration {
    std::string name = "nvme-subsystem"; ///< of the device in its machine
    std::string nqn;                     ///< "nqn.2014-08.org.example:disks"; 223 bytes at most (§4.5)
    std::string serial;                  ///< 20 characters
    std::string model = "Touka NVMe";    ///< 40 characters
    std::uint32_t namespace_limit = 16;  ///< the highest namespace identifier
    std::uint16_t vendor_id = 0, subsystem_vendor_id = 0;
};

struct SubsystemState {
    static constexpr std::uint16_t kVersion = 1;
    struct NamespaceState {
        std::uint8_t format = 0;
        Reservations::State reservations;
        std::vector<std::uint16_t> attached;
        void describe(auto& archive) { archive(format, reservations, attached); }
    };
    std::vector<NamespaceState> namespaces;
    std::vector<VirtualResources::State> resources; ///< in order of primary controllers
    void describe(auto& archive) { archive(namespaces, resources); }
};

/// Owns namespaces; controllers are their functions' and join. Outlives them. Any thread: one lock, held for nothing
/// that waits, and for no command that reads or writes. What a change means for other controllers reaches them as
/// atomics (NamespaceView::access) and as work for their reactors.
class Subsystem final : public platform::Device {
public:
    explicit Subsystem(SubsystemConfiguration configuration);

    [[nodiscard]] const SubsystemConfiguration& configuration() const { return configuration_; }
    /// @return its identifier; nothing when there are as many as there may be. Controllers that join later have it
    /// attached; those that are there have to be told by attach().
    std::optional<std::uint32_t> add_namespace(NamespaceConfiguration configuration);
    /// @return null: no such namespace. Good as long as the subsystem.
    [[nodiscard]] Namespace* find(std::uint32_t nsid) const;
    [[nodiscard]] std::vector<std::uint32_t> namespaces() const;

    /// Resources for a primary controller's secondary ones; before they join.
    void add_primary(std::uint16_t id, const VirtualResources::Counts& own, const VirtualResources::Counts& flexible,
                     const VirtualResources::Counts& secondary_limit);
    void add_secondary(std::uint16_t primary, const VirtualResources::Secondary& secondary);

    /// @pre no other controller has its identifier. All namespaces are attached to it, or none.
    void join(Controller& controller, bool attach_all);
    void leave(Controller& controller);
    [[nodiscard]] std::vector<std::uint16_t> controllers() const;
    [[nodiscard]] std::vector<std::uint16_t> controllers_of(std::uint32_t nsid) const;

    /// Namespace Attachment. (§5.22) Controllers whose namespaces change are told, but for `by`.
    [[nodiscard]] spec::nvme::Status attach(std::uint32_t nsid, std::span<const std::uint16_t> ids,
                                            const Controller* by);
    [[nodiscard]] spec::nvme::Status detach(std::uint32_t nsid, std::span<const std::uint16_t> ids,
                                            const Controller* by);

    /// Controllers' hosts, and what they do to reservations. Notices go to all controllers of the hosts concerned.
    void set_host(Controller& controller, const HostIdentity& host);
    [[nodiscard]] Reservations::State reservations(std::uint32_t nsid) const;
    [[nodiscard]] std::vector<std::pair<std::uint16_t, HostIdentity>> hosts() const;
    /// @param operation on the namespace's reservations, given the controller's host. @pre the namespace exists.
    [[nodiscard]] Reservations::Result
    reserve(Controller& controller, std::uint32_t nsid,
            const std::function<Reservations::Result(Reservations&, const HostIdentity&)>& operation);
    /// A controller level reset: reservations of a host without an identifier go.
    void forget_unidentified(Controller& controller);

    /// Calls `done` once, on any thread, when no command works on the namespace that had begun before: through any
    /// controller, or through those of certain hosts. It may be called before this returns, and must not call back.
    void when_quiet(std::uint32_t nsid, const std::vector<HostIdentity>* hosts, std::function<void()> done);
    /// A fused pair is over: controllers go on with what they held back.
    void pair_ended();
    /// Format NVM changed the blocks: everybody is told, but for `by`.
    void namespace_changed(std::uint32_t nsid, const Controller* by);

    struct Resources {
        std::optional<spec::nvme::PrimaryCapabilities> primary; ///< of a primary controller
        std::vector<VirtualResources::Secondary> secondaries;
    };
    [[nodiscard]] Resources resources(std::uint16_t id) const;
    /// Queues and vectors of a controller, as a reset gives them to it; nothing: it is not one of these.
    [[nodiscard]] std::optional<VirtualResources::Counts> counts(std::uint16_t id) const;
    /// A secondary controller that is offline does not answer.
    [[nodiscard]] bool online(std::uint16_t id) const;
    /// Virtualization Management. (§5.28) @param by the primary controller that got the command.
    [[nodiscard]] VirtualResources::Answer manage(std::uint16_t by, std::uint8_t action, std::uint8_t resource_type,
                                                  std::uint16_t id, std::uint16_t count);

    [[nodiscard]] std::string_view name() const override { return configuration_.name; }
    /// Nothing: what hosts reserved outlives their controllers' resets.
    void reset() override {}
    [[nodiscard]] migration::Record save() const override;
    /// @pre all controllers have joined and are paused; they are restored after this.
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

private:
    struct Member {
        Controller* controller;
        HostIdentity host;
    };
    struct Entry {
        std::unique_ptr<Namespace> ns;
        Reservations reservations;
        std::vector<std::uint16_t> attached;
    };
    [[nodiscard]] Entry* entry(std::uint32_t nsid);
    [[nodiscard]] const Entry* entry(std::uint32_t nsid) const;
    [[nodiscard]] Member* member(std::uint16_t id);
    [[nodiscard]] VirtualResources* resources_for(std::uint16_t id);
    [[nodiscard]] const VirtualResources* resources_for(std::uint16_t id) const;
    void update_access(Entry& entry);
    void update_access(Entry& entry, Member& member);
    void notify(std::uint32_t nsid, const std::vector<ReservationNotice>& notices);

    SubsystemConfiguration configuration_;
    mutable std::mutex mutex_;      // after no lock of a controller, before those of reactors
    std::vector<Entry> namespaces_; // nsid - 1
    std::vector<Member> members_;
    std::vector<VirtualResources> resources_;
};

} // namespace touka::devices::nvme
