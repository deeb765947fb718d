// The targets behind a virtio-scsi device and how a request names them. (Virtual I/O Device 1.2 §5.6.6.1)
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "scsi/target.hpp"

namespace touka::devices::virtio {

/// What the eight bytes of a request's LUN say.
struct ScsiAddress {
    std::uint8_t target = 0;
    scsi::Lun lun;
    bool any_target = false; ///< the REPORT LUNS well-known unit without a target: C1h 01h
};

/// @return nothing for a form that the specification does not have.
[[nodiscard]] std::optional<ScsiAddress> parse_scsi_address(std::span<const std::uint8_t, 8> bytes);
/// The form in which events name a unit.
[[nodiscard]] std::array<std::uint8_t, 8> scsi_address_bytes(std::uint8_t target, scsi::Lun lun);

/// One initiator port and the targets that it is logged in to, by target id. On the targets' reactor.
class ScsiBus {
public:
    struct Attachment {
        scsi::Target* target = nullptr; ///< null: nothing has this id
        scsi::Nexus* nexus = nullptr;
        bool touched = false; // submitted to since the last commit
    };

    explicit ScsiBus(scsi::InitiatorPort initiator) : initiator_(std::move(initiator)) {}
    /// Ends all nexuses. @pre no task is left.
    ~ScsiBus();
    ScsiBus(const ScsiBus&) = delete;
    ScsiBus& operator=(const ScsiBus&) = delete;

    /// Logs in. @pre nothing has this id.  @param target outlives the bus, or until `remove` is done.
    void add(std::uint8_t id, scsi::Target& target, scsi::RelativeTargetPort port, std::vector<scsi::MappedUnit> units);
    /// Logs out: requests no longer find it, its tasks are aborted. @param done as of scsi::Target::close.
    void remove(std::uint8_t id, std::function<void()> done);

    [[nodiscard]] const Attachment& operator[](std::uint8_t id) const { return attachments_[id]; }
    /// @return null when nothing has this id.
    [[nodiscard]] Attachment* find(const ScsiAddress& address);
    /// Hands a task to a target. @param attachment the task's nexus's.
    void submit(Attachment& attachment, scsi::Task& task);
    /// Once after a batch of submits.
    void commit();
    /// Calls `visit` with each attachment.
    template <class Visit>
    void for_each(Visit visit) {
        for (Attachment& attachment : attachments_) {
            if (attachment.target != nullptr) visit(attachment);
        }
    }

private:
    scsi::InitiatorPort initiator_;
    std::array<Attachment, 256> attachments_{};
    std::vector<Attachment*> touched_;
};

} // namespace touka::devices::virtio
