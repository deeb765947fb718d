// From linear pages to host memory, for translated code: one compare finds out whether an access may go on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace touka::cpu::translator {

/// Three arrays, indexed by bits 31:12 of the linear address: the linear page that a slot lets code read, the one it
/// lets code write, which is the same or none, and where that is in the host. `linear ^ tag` is the offset in the page
/// when the tag is right, and above 4095 when it is not or the address is not canonical; so one unsigned compare with
/// 4096 - size finds misses and accesses that leave the page alike.
///
/// Empty slots hold 0, which no page of another slot has for a tag; slot 0, where page 0 belongs, has a tag of its own
/// for being empty. So an access that was found here does not fault, unless it stores to a page that the host protects
/// (memory::GuardedView).
/// @thread its vCPU's.
class LookasideTable {
public:
    static constexpr std::uint64_t kSlots = 1 << 20;
    /// By how much code shifts an address for the number of its page. pointer() ends in this number, so that one
    /// register serves as base and as shift count.
    static constexpr std::int64_t kPageShift = 12;
    /// From pointer(), in bytes.
    static constexpr std::int64_t kArrayBytes = kSlots * 8, kReadTagsOffset = -kPageShift,
                                  kWriteTagsOffset = kReadTagsOffset + kArrayBytes,
                                  kHostPagesOffset = kReadTagsOffset + 2 * kArrayBytes;

    /// Reserves address space; memory comes as slots are filled.
    LookasideTable();
    ~LookasideTable();
    LookasideTable(const LookasideTable&) = delete;
    LookasideTable& operator=(const LookasideTable&) = delete;

    [[nodiscard]] bool is_mapped() const { return read_tags_ != nullptr; }
    /// What translated code holds.
    [[nodiscard]] std::uint64_t pointer() const {
        return reinterpret_cast<std::uint64_t>(read_tags_) + std::uint64_t{kPageShift};
    }

    struct Rights {
        bool writes = false;
        bool global = false; ///< the page survives clear_local()
    };
    void fill(std::uint64_t linear, std::byte* host_page, Rights rights);
    void drop(std::uint64_t linear);
    [[nodiscard]] static std::uint32_t slot_of(std::uint64_t linear);
    [[nodiscard]] bool leads_to(std::uint32_t slot, const std::byte* host_page) const;
    void drop_slot(std::uint32_t slot);
    /// All slots of the 2 MiB that `linear` lies in.
    void drop_large(std::uint64_t linear);
    void clear();
    void clear_local();
    [[nodiscard]] std::uint64_t fill_count() const { return fill_count_; }

private:
    /// More than this are forgotten by giving the memory back.
    static constexpr std::size_t kLongList = 1 << 15;

    void clear_listed(std::vector<std::uint32_t>& list);
    void give_back();

    std::uint64_t* read_tags_ = nullptr;
    std::uint64_t* write_tags_ = nullptr;
    std::uint64_t* host_pages_ = nullptr;
    std::vector<std::uint32_t> local_, global_; ///< slots that were filled
    std::uint64_t fill_count_ = 0;
};

} // namespace touka::cpu::translator
