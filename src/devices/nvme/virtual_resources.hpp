#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "spec/nvme/status.hpp"
#include "spec/nvme/virtualization.hpp"

namespace touka::devices::nvme {

/// Pairs of queues and interrupt vectors of a primary controller and its secondary ones. A queue resource is one
/// submission and one completion queue, the admin pair included. (NVM Express Base 2.0 §8.26) No threads.
class VirtualResources {
public:
    struct Counts {
        std::uint16_t queues = 0, vectors = 0;
        void describe(auto& archive) { archive(queues, vectors); }
    };
    struct Secondary {
        std::uint16_t id = 0, virtual_function = 0;
        Counts assigned{};
        bool online = false;
        void describe(auto& archive) { archive(id, virtual_function, assigned, online); }
    };
    struct State {
        static constexpr std::uint16_t kVersion = 1;
        Counts primary_flexible; ///< allocated to the primary; takes effect with its next reset
        std::vector<Secondary> secondaries;
        void describe(auto& archive) { archive(primary_flexible, secondaries); }
    };

    /// @param own the primary's private ones.  @param flexible to be given away.
    /// @param secondary_limit the most that one secondary controller may have.
    VirtualResources(std::uint16_t primary, const Counts& own, const Counts& flexible, const Counts& secondary_limit)
        : primary_(primary), own_(own), flexible_(flexible), limit_(secondary_limit) {}

    void add_secondary(const Secondary& secondary) { state_.secondaries.push_back(secondary); }
    [[nodiscard]] std::uint16_t primary() const { return primary_; }
    [[nodiscard]] Secondary* find(std::uint16_t id);
    [[nodiscard]] const Secondary* find(std::uint16_t id) const;
    [[nodiscard]] const State& state() const { return state_; }
    /// @return false: a state of other controllers.
    [[nodiscard]] bool restore(const State& state);
    [[nodiscard]] Counts of_primary() const {
        return {static_cast<std::uint16_t>(own_.queues + state_.primary_flexible.queues),
                static_cast<std::uint16_t>(own_.vectors + state_.primary_flexible.vectors)};
    }

    struct Answer {
        spec::nvme::Status status = spec::nvme::Status::kSuccess;
        std::uint32_t allocated = 0; ///< Dword 0 of the completion
    };
    /// Virtualization Management. (§5.28) @param type spec::nvme::kQueueResources or kInterruptResources.
    [[nodiscard]] Answer allocate_primary(std::uint8_t type, std::uint16_t count);
    [[nodiscard]] Answer assign(std::uint16_t id, std::uint8_t type, std::uint16_t count);
    [[nodiscard]] Answer set_online(std::uint16_t id, bool online);

    [[nodiscard]] spec::nvme::PrimaryCapabilities capabilities() const;

private:
    using Member = std::uint16_t Counts::*;
    [[nodiscard]] static std::optional<Member> member(std::uint8_t type);
    [[nodiscard]] std::uint32_t assigned(Member which) const;

    std::uint16_t primary_;
    Counts own_, flexible_, limit_;
    State state_;
};

} // namespace touka::devices::nvme
