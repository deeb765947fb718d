// An inventory as it survives the program: a TOML file that a person can read.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "scsi/changer/inventory.hpp"

namespace touka::scsi {

/// Where the inventory is kept. Calls wait until it is there for good; one thread at a time.
class InventoryStore {
public:
    virtual ~InventoryStore() = default;
    /// @return a text for the log; the old or the new inventory is found then.
    [[nodiscard]] virtual std::expected<void, std::string> save(const Inventory& inventory) = 0;
};

/// Replaces one file as a whole: whatever happens, the old inventory is found, or the new one.
class InventoryFile final : public InventoryStore {
public:
    /// @param path in a folder that exists; `path`.new beside it is overwritten. Empty: nothing is kept.
    explicit InventoryFile(std::string path) : path_(std::move(path)) {}

    /// A cartridge of the configuration and where it is the first time.
    struct Configured {
        Cartridge cartridge{};
        ElementAddress element = 0;
    };
    /// What was saved last, with what the configuration says of its cartridges; those that are new in it are put where
    /// it says, or into the first empty slot. Without a file: the configuration's.
    /// @return a text for the user; a damaged file is never taken for an empty library.
    [[nodiscard]] std::expected<Inventory, std::string> load(const LibraryGeometry& geometry,
                                                             const std::vector<Configured>& configured) const;
    [[nodiscard]] std::expected<void, std::string> save(const Inventory& inventory) override;

private:
    std::string path_;
};

[[nodiscard]] std::string inventory_text(const Inventory& inventory);
/// @param file for messages.
[[nodiscard]] std::expected<Inventory, std::string> parse_inventory(std::string_view text, const std::string& file,
                                                                    const LibraryGeometry& geometry);

} // namespace touka::scsi
