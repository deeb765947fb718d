// What is in a tape library and where: element addresses, cartridges, and the rules of moving them. (SMC-3 §4)
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scsi/sense.hpp"
#include "scsi/tape/cartridge.hpp"
#include "spec/scsi/media_changer.hpp"

namespace touka::scsi {

using spec::scsi::ElementType;
using ElementAddress = std::uint16_t;

/// The elements of one type; their addresses follow each other.
struct ElementRange {
    ElementType type = ElementType::kAll;
    ElementAddress first = 0;
    std::uint16_t count = 0;
};

/// How many elements of each type there are. One robot.
struct LibraryGeometry {
    static constexpr ElementAddress kRobot = 0x0001, kFirstImportExport = 0x0010, kFirstDrive = 0x0100,
                                    kFirstSlot = 0x0400;
    static constexpr std::uint16_t kImportExportLimit = kFirstDrive - kFirstImportExport,
                                   kDriveLimit = kFirstSlot - kFirstDrive, kSlotLimit = 0xFFFF - kFirstSlot;

    std::uint16_t slots = 0, import_export = 0, drives = 0; ///< up to the limits

    /// Ascending by address.
    [[nodiscard]] std::array<ElementRange, 4> ranges() const;
    /// kAll: there is no such element.
    [[nodiscard]] ElementType type_of(ElementAddress element) const;
};

struct StoredCartridge {
    Cartridge cartridge{};
    ElementAddress source = 0; ///< the storage element that it was in last; 0: none
    bool imported = false;     ///< the operator put it where it is
};

/// One cartridge on its way.
struct Relocation {
    ElementAddress from, to;
};

/// The cartridges of a library by the elements they are in. A value: copied, changed, kept if it could be saved.
class Inventory {
public:
    explicit Inventory(const LibraryGeometry& geometry = {}) : geometry_(geometry) {}

    [[nodiscard]] const LibraryGeometry& geometry() const { return geometry_; }
    [[nodiscard]] const std::map<ElementAddress, StoredCartridge>& cartridges() const { return cartridges_; }
    [[nodiscard]] const StoredCartridge* find(ElementAddress element) const;
    [[nodiscard]] std::optional<ElementAddress> find(std::string_view barcode) const;

    /// @return a text for the user: no such element, it is full, or the barcode is there or malformed.
    [[nodiscard]] std::expected<void, std::string> put(ElementAddress element, StoredCartridge cartridge);
    void take(ElementAddress element) { cartridges_.erase(element); }

    /// MOVE MEDIUM and EXCHANGE MEDIUM: who goes where, or what is wrong. (SMC-3 §6.6, §6.2)
    [[nodiscard]] std::expected<std::vector<Relocation>, Sense> plan_move(ElementAddress from, ElementAddress to) const;
    [[nodiscard]] std::expected<std::vector<Relocation>, Sense>
    plan_exchange(ElementAddress from, ElementAddress first_to, ElementAddress second_to) const;
    /// @pre planned with these contents
    void apply(const std::vector<Relocation>& relocations);

    /// Cartridges of the configuration that the operator took out; they stay out when the program starts again.
    std::vector<std::string> outside;

private:
    /// Can a cartridge stay in this element?
    [[nodiscard]] bool holds(ElementAddress element) const;

    LibraryGeometry geometry_;
    std::map<ElementAddress, StoredCartridge> cartridges_;
};

/// Barcodes are 1 to 32 printable ASCII characters without a space at either end.
[[nodiscard]] bool is_barcode(std::string_view text);

} // namespace touka::scsi
