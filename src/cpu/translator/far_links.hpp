// Jumps from page to page that lead straight to their target's code, as long as the guest's mappings stand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "cpu/translator/frame.hpp"
#include "cpu/translator/record_array.hpp"

namespace touka::cpu::translator {

struct Translation;

struct FarLink {
    static constexpr std::uint32_t kNone = ~std::uint32_t{0};

    std::uint8_t* site = nullptr; ///< the 32-bit displacement of the jump, where it can be written
    Translation* to = nullptr;    ///< where it leads, or nullptr
    std::uint32_t next = kNone;   ///< of the links that lead there (Translation::first_far_link)
};

/// All of a vCPU's, by number, which is also that of the link's FarKey. Changes code that its thread is not executing.
class FarLinks {
public:
    explicit FarLinks(std::span<FarKey> keys) : keys_(keys), links_(keys.size()) {}

    [[nodiscard]] bool is_mapped() const { return links_.is_mapped(); }

    [[nodiscard]] std::uint32_t next_number() const { return static_cast<std::uint32_t>(links_.size()); }
    [[nodiscard]] bool is_full() const { return links_.room() == 0; }
    /// Has no target yet. @return its number. @pre !is_full()
    std::uint32_t add(std::uint8_t* site);
    /// Its jump leads to `to` now. @param key see FarKey.
    void connect(std::uint32_t number, Translation& to, std::uint64_t key);
    /// It cannot be connected: it is not asked for so soon again.
    void give_up(std::uint32_t number);
    [[nodiscard]] std::uint8_t* site(std::uint32_t number) const { return links_[number].site; }
    /// Nothing leads to `to` any more.
    void cut(Translation& to);
    /// Generations are about to be used a second time.
    void cut_all();
    void clear() { links_.clear(); }

private:
    static constexpr std::uint32_t kPatience = 64;

    void detach(std::uint32_t number);

    std::span<FarKey> keys_;
    RecordArray<FarLink> links_;
};

} // namespace touka::cpu::translator
