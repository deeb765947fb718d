// What devices tried to reach without a grant. (rule T5: blocked and recorded)
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "memory/dma_space.hpp"
#include "runtime/guarded.hpp"

namespace touka::devices::passthrough {

struct DmaFaultRecord {
    std::string requester;
    memory::Iova address;
    std::uint64_t length_bytes = 0;
    memory::DmaAccess access = memory::DmaAccess::kRead;
};

/// Counts all faults of one requester and keeps the last ones. Any thread.
class DmaFaultLog {
public:
    static constexpr std::size_t kKept = 32;

    explicit DmaFaultLog(std::string requester) : requester_(std::move(requester)) {}

    void record(memory::Iova address, std::uint64_t length_bytes, memory::DmaAccess access) {
        auto faults = faults_.lock();
        ++faults->count;
        faults->last.push_back({requester_, address, length_bytes, access});
        if (faults->last.size() > kKept) faults->last.pop_front();
    }
    [[nodiscard]] std::uint64_t count() { return faults_.lock()->count; }
    /// Oldest first.
    [[nodiscard]] std::vector<DmaFaultRecord> last() {
        auto faults = faults_.lock();
        return {faults->last.begin(), faults->last.end()};
    }

private:
    struct Faults {
        std::uint64_t count = 0;
        std::deque<DmaFaultRecord> last;
    };
    std::string requester_;
    runtime::Guarded<Faults> faults_; // taken alone
};

} // namespace touka::devices::passthrough
