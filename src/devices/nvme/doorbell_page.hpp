#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/shared_mapping.hpp"
#include "spec/nvme/registers.hpp"

namespace touka::devices::nvme {

/// Where a function's doorbells are: words of this process, or of a memory file that a driver's process maps, too.
class DoorbellPage {
public:
    static constexpr std::uint64_t kPageBytes = 4096;

    /// @param words that are used; @pre they fit into a page if shared.
    /// @param shared as a file, unless the host has none to give.
    DoorbellPage(std::size_t words, bool shared) {
        if (shared && share(words)) return;
        private_.resize(words);
        words_ = private_;
    }

    [[nodiscard]] std::span<std::uint32_t> words() { return words_; }
    /// As BAR 0, of which only the doorbells are behind it. Empty: not shared.
    [[nodiscard]] const runtime::UniqueFd& file() const { return file_; }

private:
    bool share(std::size_t words) {
        // The file is laid out as BAR 0, whose registers before the doorbells are nobody's to see.
        auto made = runtime::SharedMapping::create("doorbells", spec::nvme::kDoorbells + kPageBytes);
        if (!made) return false;
        file_ = std::move(made->first);
        mapping_ = std::move(made->second);
        const auto page = mapping_.bytes().subspan(spec::nvme::kDoorbells);
        words_ = {reinterpret_cast<std::uint32_t*>(page.data()), words};
        return true;
    }

    std::vector<std::uint32_t> private_;
    runtime::UniqueFd file_;
    runtime::SharedMapping mapping_;
    std::span<std::uint32_t> words_; // of one or the other
};

} // namespace touka::devices::nvme
