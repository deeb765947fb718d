// A device that keeps what it is given, for tests.
#pragma once

#include <cstdlib>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <utility>

#include "iommu/mapping.hpp"

namespace touka::iommu {

/// Aborts when it is given what overlaps, or has to give up what it has not.
class RecordingSink final : public MappingSink {
public:
    [[nodiscard]] bool map(const Mapping& mapping) override {
        if (before_call) before_call();
        const auto next = all.upper_bound(mapping.last());
        if (next != all.begin() && std::prev(next)->second.last() >= mapping.iova) std::abort();
        if (refuse && refuse(mapping)) return false;
        all.emplace(mapping.iova, mapping);
        ++maps;
        return true;
    }
    void unmap(const Mapping& mapping) override {
        if (before_call) before_call();
        const auto found = all.find(mapping.iova);
        if (found == all.end() || found->second != mapping) std::abort();
        all.erase(found);
        ++unmaps;
    }
    /// Guest address behind an address, or ~0.
    [[nodiscard]] std::uint64_t guest_of(std::uint64_t iova) const {
        const auto next = all.upper_bound(iova);
        if (next == all.begin() || std::prev(next)->second.last() < iova) return ~std::uint64_t{0};
        return std::prev(next)->second.guest + (iova - std::prev(next)->second.iova);
    }
    [[nodiscard]] bool has(const Mapping& mapping) const {
        const auto found = all.find(mapping.iova);
        return found != all.end() && found->second == mapping;
    }
    /// Calls since the last time: "2 maps, 1 unmaps".
    std::string take_calls() {
        const auto text = std::to_string(std::exchange(maps, 0)) + " maps, ";
        return text + std::to_string(std::exchange(unmaps, 0)) + " unmaps";
    }

    std::map<std::uint64_t, Mapping> all;
    std::function<void()> before_call;
    std::function<bool(const Mapping&)> refuse;
    int maps = 0, unmaps = 0;
};

} // namespace touka::iommu
