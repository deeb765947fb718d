#pragma once

#include <optional>

#include "scsi/device_server/medium_removal.hpp"
#include "scsi/disk/disk_core.hpp"
#include "scsi/disk/job.hpp"
#include "scsi/disk/protection.hpp"
#include "scsi/disk/step.hpp"

namespace touka::scsi {

/// FORMAT UNIT, SANITIZE, START STOP UNIT, READ DEFECT DATA: what puts a whole disk into another state, and the state.
/// While formatting and sanitizing, and when stopped or without medium, the unit is not ready. (SBC-4 §5.4, §5.17 ff)
/// Absent: formatting to another block length, defect lists from outside, cryptographic erase, power conditions.
class Maintenance final : public UnitEvents {
public:
    /// @param core and removal outlive this.  @param removable the medium can be ejected.
    Maintenance(DiskCore& core, const MediumRemoval& removal, bool removable);

    /// The sense of a unit that is not ready, as DeviceServer::set_readiness wants it.
    [[nodiscard]] std::optional<Sense> readiness() const;
    void logical_unit_reset() override;

    /// Takes the medium out or puts it back. @param by the nexus that asked for it; null: the operator's hand.
    void set_medium_present(bool present, const NexusName* by = nullptr);

private:
    enum class Operation : std::uint8_t { kNone, kFormat, kSanitize };
    /// What the medium is filled with.
    struct Filling {
        std::vector<std::uint8_t> pattern; ///< repeated in each block; empty: zeros, as holes where possible
        unsigned passes = 1;
        bool invert = false;                        ///< every second pass
        std::optional<ProtectionType> protection{}; ///< what the medium is formatted with afterwards
        std::optional<NexusName> from{};            ///< whose command it is
    };

    void format_unit(Task& task);
    void sanitize(Task& task);
    void start_stop(Task& task);
    void read_defect_data(Task& task, bool twelve);
    /// @param usage PROTECTION FIELD USAGE.
    [[nodiscard]] std::optional<Sense> parse_protection(std::uint8_t flags, std::uint8_t usage, Filling& filling) const;
    [[nodiscard]] std::optional<Sense> parse_overwrite(Task& task, Filling& filling) const;
    /// @param task null when it was answered already (IMMED).
    Job fill(Task* task, Operation operation, Filling filling);
    Step<storage::BlockStatus> fill_blocks(const Filling& filling, Task*& task);
    /// The medium's type becomes that of the filling.
    Step<storage::BlockStatus> set_protection(const Filling& filling);

    DiskCore& core_;
    const MediumRemoval& removal_;
    bool removable_;
    bool started_ = true;
    bool medium_present_ = true;
    bool sanitize_failed_ = false;
    bool unrestricted_exit_ = false; // AUSE of the last SANITIZE
    Operation operation_ = Operation::kNone;
    std::uint64_t done_bytes_ = 0, total_bytes_ = 0;
};

} // namespace touka::scsi
