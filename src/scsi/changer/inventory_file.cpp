#include "scsi/changer/inventory_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <set>

#include "runtime/unique_fd.hpp"
#include "scsi/tape/tape_file.hpp"

namespace touka::scsi {

namespace {

/// 65000 cartridges with long paths.
constexpr std::size_t kFileBytesLimit = std::size_t{64} << 20;

std::string failure(const std::string& path, std::string_view what) {
    return fmt::format("{}: cannot be {}: {}", path, what, std::strerror(errno));
}

std::expected<void, std::string> write_for_good(const std::string& path, std::string_view text) {
    const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW;
    const runtime::UniqueFd file(::open(path.c_str(), flags, 0644));
    if (!file) return std::unexpected(failure(path, "created"));
    while (!text.empty()) {
        const ssize_t count = ::write(file.get(), text.data(), text.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return std::unexpected(failure(path, "written"));
        text.remove_prefix(static_cast<std::size_t>(count));
    }
    if (::fsync(file.get()) != 0) return std::unexpected(failure(path, "stored"));
    return {};
}

/// @return nothing: there is no file.
std::expected<std::optional<std::string>, std::string> read_whole(const std::string& path) {
    const runtime::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file && errno == ENOENT) return std::nullopt;
    if (!file) return std::unexpected(failure(path, "opened"));
    std::string text;
    std::array<char, 16384> buffer{};
    for (;;) {
        const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return std::unexpected(failure(path, "read"));
        if (count == 0) return text;
        text.append(buffer.data(), static_cast<std::size_t>(count));
        if (text.size() > kFileBytesLimit) return std::unexpected(path + ": is too big for an inventory");
    }
}

/// What the configuration says of a cartridge now goes before what was saved of it.
void refresh(Inventory& inventory, ElementAddress element, const Cartridge& cartridge) {
    StoredCartridge stored = *inventory.find(element);
    stored.cartridge = cartridge;
    inventory.take(element);
    static_cast<void>(inventory.put(element, std::move(stored))); // the place is empty, the barcode the same
}

ElementAddress first_empty_slot(const Inventory& inventory) {
    for (std::uint16_t slot = 0; slot < inventory.geometry().slots; ++slot) {
        const auto element = static_cast<ElementAddress>(LibraryGeometry::kFirstSlot + slot);
        if (inventory.find(element) == nullptr) return element;
    }
    return 0;
}

} // namespace

std::expected<Inventory, std::string> InventoryFile::load(const LibraryGeometry& geometry,
                                                          const std::vector<Configured>& configured) const {
    Inventory inventory(geometry);
    if (!path_.empty()) {
        const auto text = read_whole(path_);
        if (!text) return std::unexpected(text.error());
        if (*text) {
            auto parsed = parse_inventory(**text, path_, geometry);
            if (!parsed) return parsed;
            inventory = std::move(*parsed);
        }
    }
    // What else the operator took out is not coming back by itself.
    std::erase_if(inventory.outside, [&](const std::string& barcode) {
        return std::ranges::none_of(configured,
                                    [&](const Configured& one) { return one.cartridge.barcode == barcode; });
    });
    std::set<std::string> seen;
    for (const Configured& one : configured) {
        const std::string& barcode = one.cartridge.barcode;
        if (!seen.insert(barcode).second) {
            return std::unexpected(fmt::format("cartridge {}: is in the configuration twice", barcode));
        }
        if (std::ranges::find(inventory.outside, barcode) != inventory.outside.end()) continue;
        if (const auto element = inventory.find(barcode)) {
            refresh(inventory, *element, one.cartridge);
            continue;
        }
        const bool taken = inventory.find(one.element) != nullptr;
        const ElementAddress element = one.element == 0 || taken ? first_empty_slot(inventory) : one.element;
        if (element == 0) return std::unexpected(fmt::format("cartridge {}: no slot is empty", barcode));
        if (const auto put = inventory.put(element, {.cartridge = one.cartridge}); !put) {
            return std::unexpected(put.error());
        }
    }
    return inventory;
}

std::expected<void, std::string> InventoryFile::save(const Inventory& inventory) {
    if (path_.empty()) return {};
    const std::string fresh = path_ + ".new";
    if (auto written = write_for_good(fresh, inventory_text(inventory)); !written) return written;
    if (::rename(fresh.c_str(), path_.c_str()) != 0) return std::unexpected(failure(path_, "put in place"));
    if (const int error = synchronize_folder_of(path_)) {
        errno = error;
        return std::unexpected(failure(path_, "stored in its folder"));
    }
    return {};
}

} // namespace touka::scsi
