#include "platform/boot/smbios.hpp"

#include <cstring>
#include <initializer_list>
#include <numeric>
#include <span>
#include <string_view>
#include <vector>

#include "platform/boot/memory_map.hpp"
#include "spec/boot/smbios.hpp"

namespace touka::platform::boot {
namespace {

using namespace spec::boot::smbios;

constexpr std::string_view kMaker = "Touka";
constexpr std::string_view kProduct = "Virtual Machine";
constexpr std::string_view kReleaseDate = "01/01/2024"; // §7.1 wants one; it has no meaning here

/// Structures one after the other, each with its strings.
class Table {
public:
    template <class Structure>
    void add(std::uint8_t type, Structure structure, std::initializer_list<std::string_view> strings) {
        structure.Header = {.Type = type, .Length = sizeof structure, .Handle = next_handle_++};
        append({reinterpret_cast<const char*>(&structure), sizeof structure});
        for (const auto text : strings) {
            append(text);
            bytes_.push_back(0);
        }
        bytes_.push_back(0);
        if (strings.size() == 0) bytes_.push_back(0); // §6.1.3: a list without strings is two zeros
    }
    [[nodiscard]] const std::vector<std::uint8_t>& bytes() const { return bytes_; }

private:
    void append(std::string_view bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }

    std::vector<std::uint8_t> bytes_;
    std::uint16_t next_handle_ = 0;
};

struct EndOfTable {
    StructureHeader Header;
};

std::vector<std::uint8_t> make_structures(const SmbiosIdentity& identity) {
    // An empty string would end the list.
    const std::string_view version = identity.version.empty() ? "-" : std::string_view(identity.version);
    const std::string_view name = identity.name.empty() ? "-" : std::string_view(identity.name);
    Table table;
    BiosInformation bios{};
    bios.Vendor = 1;
    bios.BiosVersion = 2;
    bios.BiosReleaseDate = 3;
    bios.BiosCharacteristics = kCharacteristicsNotSupported;
    bios.BiosCharacteristicsExtension[1] = kVirtualMachine;
    bios.SystemBiosMajorRelease = bios.SystemBiosMinorRelease = 0xFF;
    bios.EmbeddedControllerMajorRelease = bios.EmbeddedControllerMinorRelease = 0xFF;
    table.add(kTypeBios, bios, {kMaker, version, kReleaseDate});
    SystemInformation system{};
    system.Manufacturer = 1;
    system.ProductName = 2;
    system.Version = 3;
    system.SerialNumber = 4;
    system.UUID = make_uuid(identity.name);
    system.WakeUpType = kWakeUpPowerSwitch;
    table.add(kTypeSystem, system, {kMaker, kProduct, version, name});
    SystemEnclosure enclosure{};
    enclosure.Manufacturer = 1;
    enclosure.Type = kEnclosureOther;
    enclosure.BootUpState = enclosure.PowerSupplyState = enclosure.ThermalState = kStateSafe;
    enclosure.SecurityStatus = kSecurityNone;
    table.add(kTypeEnclosure, enclosure, {kMaker});
    table.add(kTypeEndOfTable, EndOfTable{}, {});
    return table.bytes();
}

/// FNV-1a, 64 bits. (draft-eastlake-fnv §2)
std::uint64_t hash(std::string_view text, std::uint64_t start) {
    std::uint64_t value = start;
    for (const char c : text) value = (value ^ static_cast<std::uint8_t>(c)) * 0x100'0000'01B3;
    return value;
}

} // namespace

std::array<std::uint8_t, 16> make_uuid(const std::string& name) {
    const std::uint64_t halves[] = {hash(name, 0xCBF2'9CE4'8422'2325), hash("touka:" + name, 0xCBF2'9CE4'8422'2325)};
    std::array<std::uint8_t, 16> uuid{};
    std::memcpy(uuid.data(), halves, sizeof halves);
    uuid[7] = static_cast<std::uint8_t>((uuid[7] & 0x0F) | 0x80); // version 8; little-endian: the higher byte is last
    uuid[8] = static_cast<std::uint8_t>((uuid[8] & 0x3F) | 0x80); // variant of RFC 9562
    return uuid;
}

bool write_smbios(const memory::GuestMemory& memory, const SmbiosIdentity& identity) {
    const auto area = memory.span(kSmbiosArea.start, kSmbiosArea.length_bytes);
    const auto structures = make_structures(identity);
    constexpr std::size_t kStructuresOffset = 0x20;
    if (area.empty() || structures.size() > area.size() - kStructuresOffset) return false;
    EntryPoint entry{.Anchor = {'_', 'S', 'M', '3', '_'},
                     .Checksum = 0,
                     .Length = sizeof(EntryPoint),
                     .MajorVersion = 3,
                     .MinorVersion = 5,
                     .Docrev = 0,
                     .EntryPointRevision = 1,
                     .Reserved = 0,
                     .StructureTableMaximumSize = static_cast<std::uint32_t>(structures.size()),
                     .StructureTableAddress = kSmbiosArea.start.value + kStructuresOffset};
    std::array<std::uint8_t, sizeof entry> bytes{};
    std::memcpy(bytes.data(), &entry, sizeof entry);
    bytes[offsetof(EntryPoint, Checksum)] =
        static_cast<std::uint8_t>(0u - std::accumulate(bytes.begin(), bytes.end(), 0u));
    std::memcpy(area.data(), bytes.data(), bytes.size());
    std::memcpy(area.data() + kStructuresOffset, structures.data(), structures.size());
    return true;
}

} // namespace touka::platform::boot
