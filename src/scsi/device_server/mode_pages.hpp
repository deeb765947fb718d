#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "scsi/device_server/device_server.hpp"

namespace touka::scsi {

/// One mode page without its header: what follows PAGE LENGTH. (SPC-5 §7.5)
struct ModePage {
    std::vector<std::uint8_t> current;
    std::vector<std::uint8_t> changeable; ///< as long; bits that MODE SELECT may change
    /// Takes a new content that differs in changeable bits only. @return the sense of values that do not go together;
    /// empty: whatever is changeable goes.
    std::function<std::optional<Sense>(std::span<const std::uint8_t>)> apply;
};

/// MODE SENSE and MODE SELECT, 6 and 10 bytes. Changes last until a logical unit reset: pages are not saved.
/// (SPC-5 §6.13 to §6.16)
class ModePages final : public UnitEvents {
public:
    /// What precedes the pages; by device type.
    struct Header {
        std::function<std::uint8_t()> device_specific;
        /// What MODE SELECT brought for it; empty: it is ignored. @return a sense to refuse it with.
        std::function<std::optional<Sense>(std::uint8_t)> set_device_specific{};
        /// The block descriptor, 8 bytes or 16 with LONGLBA; empty: none.
        std::function<std::vector<std::uint8_t>(bool long_lba)> block_descriptor;
        /// A block descriptor that MODE SELECT brought. @return a sense to refuse it with.
        std::function<std::optional<Sense>(std::span<const std::uint8_t>)> set_block_descriptor;
        std::uint8_t medium_type = 0;
    };

    /// Adds the commands and the Control mode page. @param server outlives this.
    ModePages(DeviceServer& server, Header header);
    void add_page(std::uint8_t page, std::uint8_t subpage, ModePage content);
    /// The content of a page. @pre it was added.
    [[nodiscard]] std::span<const std::uint8_t> page(std::uint8_t page, std::uint8_t subpage = 0) const;

    /// SWP of the Control mode page: every change of the medium is refused.
    [[nodiscard]] bool software_write_protect() const;
    /// TAS: tasks that another nexus aborts end with TASK ABORTED.
    [[nodiscard]] bool task_aborted_status() const;

    /// ATO, the application tags of protection information belong to initiators: set, and theirs to change.
    void offer_application_tag_owner();
    [[nodiscard]] bool application_tag_owner() const;

    void logical_unit_reset() override;

private:
    struct Entry {
        ModePage page;
        std::vector<std::uint8_t> defaults;
    };
    using Key = std::pair<std::uint8_t, std::uint8_t>;
    enum class PageControl : std::uint8_t { kCurrent, kChangeable, kDefault, kSaved };

    void sense(Task& task, bool ten);
    void select(Task& task, bool ten);
    [[nodiscard]] std::vector<std::uint8_t> image(const Key& key, const Entry& entry, PageControl control) const;
    struct Change {
        Entry* entry;
        std::span<const std::uint8_t> content;
    };
    [[nodiscard]] std::optional<Sense> choose_pages(std::span<const std::uint8_t> list, std::size_t offset,
                                                    std::vector<Change>& changes);
    [[nodiscard]] static std::optional<Sense> change_pages(const std::vector<Change>& changes);

    DeviceServer& server_;
    Header header_;
    std::map<Key, Entry> pages_;
};

} // namespace touka::scsi
