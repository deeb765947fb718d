// A file that somebody says is an inventory: it is refused, or written again it is the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "scsi/changer/inventory_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace touka::scsi;
    const std::string bytes(data, data + size);
    constexpr LibraryGeometry kGeometry{.slots = 20, .import_export = 4, .drives = 2};
    const auto inventory = parse_inventory(bytes, "fuzz", kGeometry);
    if (!inventory) return 0;
    const std::string text = inventory_text(*inventory);
    const auto again = parse_inventory(text, "again", kGeometry);
    if (!again || inventory_text(*again) != text) std::abort();
    return 0;
}
