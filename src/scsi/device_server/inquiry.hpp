#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "scsi/device_server/device_server.hpp"
#include "spec/scsi/inquiry.hpp"

namespace touka::scsi {

/// One of the ports through which a unit is reached. (SPC-5 §7.7.8.2)
struct TargetPort {
    RelativeTargetPort relative = 1;
    std::uint16_t group = 0; ///< target port group of asymmetric access; 0: none
    spec::scsi::ProtocolIdentifier protocol = spec::scsi::ProtocolIdentifier::kIscsi;
    std::string name; ///< SCSI name string, "iqn...,t,0x0001" or "naa...."; empty: not told
};

/// Who a unit says it is.
struct UnitIdentity {
    std::string vendor = "TOUKA"; ///< 8 ASCII characters at most; so on for the next two
    std::string product;          ///< 16
    std::string revision;         ///< 4
    std::string serial;           ///< 1 to 32 characters; unique for this vendor and product
    std::uint64_t naa = 0;        ///< NAA designator, 64 bits, the type in the highest four
};

/// A locally assigned NAA (type 3) that is always the same for the same text. (SPC-5 §7.7.6.6.4)
[[nodiscard]] std::uint64_t derive_naa(std::string_view text);

/// INQUIRY: standard data and vital product data pages.
class Inquiry {
public:
    struct Standard {
        spec::scsi::PeripheralDeviceType type;
        bool removable = false;
        bool third_party_copy = false;
        bool protection = false;
        bool asymmetric_access = false; ///< implicit and explicit target port groups
        bool medium_changer = false;
        std::vector<std::uint16_t> version_descriptors; ///< eight at most (SPC-5 table 150)
    };
    using Page = std::function<std::vector<std::uint8_t>(const Nexus&)>;

    /// Adds the command and the pages 00h, 80h, 83h, 86h and 88h. @param server outlives this.
    Inquiry(DeviceServer& server, UnitIdentity identity, Standard standard, std::vector<TargetPort> ports);
    /// @param page makes what follows the four-byte header.
    void add_page(spec::scsi::VpdPage code, Page page) { pages_[static_cast<std::uint8_t>(code)] = std::move(page); }
    /// Sets 3PC.
    void announce_third_party_copy() { standard_.third_party_copy = true; }
    [[nodiscard]] const UnitIdentity& identity() const { return identity_; }
    [[nodiscard]] const std::vector<TargetPort>& ports() const { return ports_; }

private:
    void execute(Task& task);
    [[nodiscard]] std::vector<std::uint8_t> standard_data() const;
    [[nodiscard]] std::vector<std::uint8_t> supported_pages() const;
    [[nodiscard]] std::vector<std::uint8_t> device_identification(const Nexus& nexus) const;
    [[nodiscard]] std::vector<std::uint8_t> extended_data() const;
    [[nodiscard]] std::vector<std::uint8_t> scsi_ports() const;

    DeviceServer& server_;
    UnitIdentity identity_;
    Standard standard_;
    std::vector<TargetPort> ports_;
    std::map<std::uint8_t, Page> pages_;
};

/// The NAA designator of a unit with its header, as VPD page 83h and EXTENDED COPY carry it. (SPC-5 §7.7.6.6)
[[nodiscard]] std::vector<std::uint8_t> naa_designator(std::uint64_t naa);

} // namespace touka::scsi
