#pragma once

#include <map>
#include <optional>
#include <vector>

#include "scsi/nexus.hpp"
#include "scsi/sense.hpp"

namespace touka::scsi {

/// The unit attention conditions of one logical unit, for each nexus in the order in which they came about.
/// (SAM-6 §5.14)
class UnitAttentions {
public:
    /// Starts keeping conditions for a nexus. @param first its first condition.
    void attach(const NexusName& nexus, SenseCode first);
    void detach(const NexusName& nexus);
    /// Those that conditions are kept for: the nexuses that exist.
    [[nodiscard]] std::vector<NexusName> attached() const;

    /// Establishes a condition; nothing when the nexus is not attached or has it already.
    void establish(const NexusName& nexus, SenseCode code);
    /// For every nexus but `except`.
    void establish_for_others(const NexusName* except, SenseCode code);
    /// A reset or power on makes earlier conditions meaningless. (SAM-6 §5.14.1)
    void replace_all(SenseCode code);

    /// No nexus is attached.
    [[nodiscard]] bool empty() const { return conditions_.empty(); }
    [[nodiscard]] bool pending(const NexusName& nexus) const;
    /// Takes the oldest condition, which is thereby reported.
    [[nodiscard]] std::optional<SenseCode> take(const NexusName& nexus) {
        return pending_ == 0 ? std::nullopt : take_oldest(nexus); // asked for each command, and there is hardly one
    }
    /// Drops a condition that a command has made known by itself: REPORT LUNS clears its own. (SPC-5 §6.33)
    void clear(const NexusName& nexus, SenseCode code);

private:
    [[nodiscard]] std::optional<SenseCode> take_oldest(const NexusName& nexus);
    void count();

    std::size_t pending_ = 0; ///< conditions of all nexuses
    std::map<NexusName, std::vector<SenseCode>> conditions_;
};

} // namespace touka::scsi
