#pragma once

#include <algorithm>
#include <cstdint>

namespace touka::devices::nvme {

/// Holds a function to so many commands and bytes a second: buckets that fill with time and may be overdrawn by one
/// command, so that nobody has to know its size before it is fetched. Its reactor.
class Pacer {
public:
    struct Limits {
        std::uint64_t commands_per_second = 0, bytes_per_second = 0; ///< 0: no limit
        /// Its share of a reactor on which several functions are busy, against the others' weights: 1 to 64.
        std::uint32_t weight = 8;
    };
    static constexpr std::uint32_t kLargestWeight = 64;
    static constexpr std::uint64_t kBurstNs = 50'000'000; ///< what an idle function may do at once

    void set_limits(const Limits& limits) {
        limits_ = limits;
        commands_ = bytes_ = {};
    }
    [[nodiscard]] const Limits& limits() const { return limits_; }
    [[nodiscard]] bool limited() const { return limits_.commands_per_second != 0 || limits_.bytes_per_second != 0; }

    /// @return when the next command may begin: now_ns, or later.
    [[nodiscard]] std::uint64_t ready_at(std::uint64_t now_ns) const {
        return std::max({now_ns, commands_.free_at, bytes_.free_at});
    }
    void charge_command(std::uint64_t now_ns) { commands_.charge(now_ns, 1, limits_.commands_per_second); }
    void charge_bytes(std::uint64_t now_ns, std::uint64_t bytes) {
        bytes_.charge(now_ns, bytes, limits_.bytes_per_second);
    }

private:
    /// Time by which everything done so far was due, less the burst: the bucket is empty until then.
    struct Bucket {
        std::uint64_t free_at = 0;
        void charge(std::uint64_t now_ns, std::uint64_t amount, std::uint64_t per_second) {
            if (per_second == 0 || amount == 0) return;
            const auto cost =
                static_cast<std::uint64_t>(static_cast<double>(amount) * 1e9 / static_cast<double>(per_second));
            const std::uint64_t oldest = now_ns > kBurstNs ? now_ns - kBurstNs : 0;
            free_at = std::max(free_at, oldest) + cost;
        }
    };
    Limits limits_;
    Bucket commands_, bytes_;
};

} // namespace touka::devices::nvme
