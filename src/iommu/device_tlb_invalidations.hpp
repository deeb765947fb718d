#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "iommu/requester_id.hpp"

namespace touka::iommu {

/// Invalidations that devices have not answered yet, oldest first. All have the same time. Not synchronised.
class DeviceTlbInvalidations {
public:
    explicit DeviceTlbInvalidations(std::uint64_t timeout_ns) : timeout_ns_(timeout_ns) {}

    /// @return what the answer will name.
    std::uint64_t begin(RequesterId requester, std::uint64_t now_ns) {
        open_.push_back({++last_, requester, now_ns + timeout_ns_});
        return last_;
    }
    /// @return false when nobody waits for it any more.
    bool answered(std::uint64_t number) {
        return std::erase_if(open_, [number](const Open& open) { return open.number == number; }) > 0;
    }
    [[nodiscard]] std::size_t count() const { return open_.size(); }
    [[nodiscard]] std::optional<std::uint64_t> deadline_ns() const {
        return open_.empty() ? std::nullopt : std::optional(open_.front().deadline_ns);
    }
    /// Gives all up. @return who was the first that did not answer.  @pre count() > 0.
    RequesterId give_up() {
        const RequesterId first = open_.front().requester;
        open_.clear();
        return first;
    }
    void clear() { open_.clear(); }

private:
    struct Open {
        std::uint64_t number;
        RequesterId requester;
        std::uint64_t deadline_ns;
    };
    std::uint64_t timeout_ns_;
    std::uint64_t last_ = 0;
    std::vector<Open> open_;
};

} // namespace touka::iommu
