#include "scsi/changer/inventory.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace touka::scsi {

namespace {

using Planned = std::expected<std::vector<Relocation>, Sense>;

Planned refuse(SenseCode code) { return std::unexpected(Sense::illegal_request(code)); }

} // namespace

std::array<ElementRange, 4> LibraryGeometry::ranges() const {
    return {{{ElementType::kMediumTransport, kRobot, 1},
             {ElementType::kImportExport, kFirstImportExport, import_export},
             {ElementType::kDataTransfer, kFirstDrive, drives},
             {ElementType::kStorage, kFirstSlot, slots}}};
}

ElementType LibraryGeometry::type_of(ElementAddress element) const {
    for (const ElementRange& range : ranges()) {
        if (element >= range.first && element - range.first < range.count) return range.type;
    }
    return ElementType::kAll;
}

bool is_barcode(std::string_view text) {
    const auto printable = [](char c) { return c >= 0x20 && c < 0x7F; };
    return !text.empty() && text.size() <= spec::scsi::kVolumeIdentifierBytes && std::ranges::all_of(text, printable) &&
           text.front() != ' ' && text.back() != ' ';
}

const StoredCartridge* Inventory::find(ElementAddress element) const {
    const auto found = cartridges_.find(element);
    return found == cartridges_.end() ? nullptr : &found->second;
}

std::optional<ElementAddress> Inventory::find(std::string_view barcode) const {
    for (const auto& [element, stored] : cartridges_) {
        if (stored.cartridge.barcode == barcode) return element;
    }
    return std::nullopt;
}

bool Inventory::holds(ElementAddress element) const {
    const ElementType type = geometry_.type_of(element);
    return type != ElementType::kAll && type != ElementType::kMediumTransport;
}

std::expected<void, std::string> Inventory::put(ElementAddress element, StoredCartridge cartridge) {
    const std::string& barcode = cartridge.cartridge.barcode;
    if (!is_barcode(barcode)) {
        return std::unexpected(
            fmt::format("barcode \"{}\": has to be 1 to 32 printable ASCII characters without spaces around", barcode));
    }
    if (!holds(element)) return std::unexpected(fmt::format("cartridge {}: there is no element {}", barcode, element));
    if (const StoredCartridge* there = find(element)) {
        return std::unexpected(fmt::format("cartridge {}: element {} has cartridge {} already", barcode, element,
                                           there->cartridge.barcode));
    }
    if (const auto other = find(barcode)) {
        return std::unexpected(fmt::format("cartridge {}: is in element {} already", barcode, *other));
    }
    cartridges_.emplace(element, std::move(cartridge));
    return {};
}

Planned Inventory::plan_move(ElementAddress from, ElementAddress to) const {
    if (!holds(from) || !holds(to)) return refuse(SenseCode::kInvalidElementAddress);
    if (find(from) == nullptr) return refuse(SenseCode::kMediumSourceElementEmpty);
    if (find(to) != nullptr) return refuse(SenseCode::kMediumDestinationElementFull);
    return std::vector<Relocation>{{from, to}};
}

/// The second destination may be the source, which is empty by then. Without a cartridge at the first destination
/// there is nothing to exchange.
Planned Inventory::plan_exchange(ElementAddress from, ElementAddress first_to, ElementAddress second_to) const {
    if (!holds(from) || !holds(first_to) || !holds(second_to) || from == first_to) {
        return refuse(SenseCode::kInvalidElementAddress);
    }
    if (find(from) == nullptr || find(first_to) == nullptr) return refuse(SenseCode::kMediumSourceElementEmpty);
    if (second_to != from && find(second_to) != nullptr) return refuse(SenseCode::kMediumDestinationElementFull);
    return std::vector<Relocation>{{from, first_to}, {first_to, second_to}};
}

void Inventory::apply(const std::vector<Relocation>& relocations) {
    std::vector<StoredCartridge> moving;
    for (const Relocation& relocation : relocations) {
        moving.push_back(std::move(cartridges_.at(relocation.from)));
        if (geometry_.type_of(relocation.from) == ElementType::kStorage) moving.back().source = relocation.from;
        moving.back().imported = false;
    }
    for (const Relocation& relocation : relocations) cartridges_.erase(relocation.from);
    for (std::size_t i = 0; i < relocations.size(); ++i) cartridges_[relocations[i].to] = std::move(moving[i]);
}

} // namespace touka::scsi
