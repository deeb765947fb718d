// Inventories as TOML.
#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>

#include "scsi/changer/inventory_file.hpp"

namespace touka::scsi {

namespace {

constexpr std::int64_t kVersion = 1;

/// A TOML basic string. Paths come from TOML themselves and are UTF-8.
std::string quoted(std::string_view text) {
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') quoted += '\\';
        if (static_cast<std::uint8_t>(c) < 0x20 || c == 0x7F) {
            quoted += fmt::format("\\u{:04X}", static_cast<std::uint8_t>(c));
        } else {
            quoted += c;
        }
    }
    return quoted + '"';
}

std::string cartridge_text(ElementAddress element, const StoredCartridge& stored) {
    const Cartridge& cartridge = stored.cartridge;
    std::string text = fmt::format("\n[[cartridge]]\nbarcode = {}\nelement = {}\n", quoted(cartridge.barcode), element);
    if (stored.source != 0) text += fmt::format("source = {}\n", stored.source);
    if (stored.imported) text += "imported = true\n";
    text +=
        fmt::format("path = {}\ncapacity-bytes = {}\nearly-warning-bytes = {}\ndensity = {}\n", quoted(cartridge.path),
                    cartridge.capacity.capacity_bytes, cartridge.capacity.early_warning_bytes, cartridge.density_code);
    if (cartridge.write_protected) text += "write-protected = true\n";
    return text;
}

/// A whole number in 0 to `most`; nothing for anything else.
std::optional<std::uint64_t> number(const toml::table& table, std::string_view key, std::uint64_t most) {
    const auto value = table[key].value_exact<std::int64_t>();
    if (!value || *value < 0 || static_cast<std::uint64_t>(*value) > most) return std::nullopt;
    return static_cast<std::uint64_t>(*value);
}

/// @return what is wrong, or nothing when the cartridge was taken in.
std::optional<std::string> read_cartridge(const toml::table& table, Inventory& inventory) {
    StoredCartridge stored;
    Cartridge& cartridge = stored.cartridge;
    cartridge.barcode = table["barcode"].value_exact<std::string>().value_or("");
    const auto path = table["path"].value_exact<std::string>();
    const auto element = number(table, "element", 0xFFFF);
    const auto capacity = number(table, "capacity-bytes", INT64_MAX);
    const auto warning = number(table, "early-warning-bytes", INT64_MAX);
    const auto density = number(table, "density", 0xFF);
    if (!path || !element || !capacity || !warning || !density) {
        return fmt::format("cartridge \"{}\" lacks something", cartridge.barcode);
    }
    cartridge.path = *path;
    cartridge.capacity = {.capacity_bytes = *capacity, .early_warning_bytes = *warning};
    cartridge.density_code = static_cast<std::uint8_t>(*density);
    cartridge.write_protected = table["write-protected"].value_exact<bool>().value_or(false);
    stored.source = static_cast<ElementAddress>(number(table, "source", 0xFFFF).value_or(0));
    stored.imported = table["imported"].value_exact<bool>().value_or(false);
    const auto put = inventory.put(static_cast<ElementAddress>(*element), std::move(stored));
    return put ? std::nullopt : std::optional(put.error());
}

std::optional<std::string> read_inventory(const toml::table& root, Inventory& inventory) {
    const std::int64_t version = root["version"].value_exact<std::int64_t>().value_or(0);
    if (version != kVersion) return fmt::format("version {} instead of {}", version, kVersion);
    if (const auto* outside = root["outside"].as_array()) {
        for (const auto& node : *outside) {
            const auto barcode = node.value_exact<std::string>();
            if (!barcode || !is_barcode(*barcode)) return "a cartridge outside without barcode";
            inventory.outside.push_back(*barcode);
        }
    }
    const auto* cartridges = root["cartridge"].as_array();
    if (cartridges == nullptr) return std::nullopt;
    for (const auto& node : *cartridges) {
        const auto* table = node.as_table();
        if (table == nullptr) return "a cartridge that is none";
        if (auto wrong = read_cartridge(*table, inventory)) return wrong;
    }
    return std::nullopt;
}

} // namespace

std::string inventory_text(const Inventory& inventory) {
    std::string text = fmt::format("# What is where in a tape library. Written by Touka.\nversion = {}\n", kVersion);
    std::string outside;
    for (const std::string& barcode : inventory.outside) outside += (outside.empty() ? "" : ", ") + quoted(barcode);
    text += fmt::format("outside = [{}]\n", outside);
    for (const auto& [element, stored] : inventory.cartridges()) text += cartridge_text(element, stored);
    return text;
}

std::expected<Inventory, std::string> parse_inventory(std::string_view text, const std::string& file,
                                                      const LibraryGeometry& geometry) {
    const auto refuse = [&](std::string_view what) {
        return std::unexpected(fmt::format("{}: {}; correct the inventory, or remove it to begin with the "
                                           "configuration's",
                                           file, what));
    };
    try {
        const toml::table root = toml::parse(text, file);
        Inventory inventory(geometry);
        if (const auto wrong = read_inventory(root, inventory)) return refuse(*wrong);
        return inventory;
    } catch (const toml::parse_error& error) {
        return refuse(error.description());
    }
}

} // namespace touka::scsi
