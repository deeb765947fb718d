#include "scsi/changer/element_status.hpp"

#include <algorithm>

#include "scsi/parameter_data.hpp"

namespace touka::scsi {

using namespace spec::scsi;

namespace {

using DriveOf = std::function<DriveStatus(std::size_t)>;

/// The elements of one type that a request reports.
struct Report {
    ElementRange range;
    ElementAddress first;
    std::uint16_t count;
};

/// Elements from `first` on, `count` of them at most, in the order of their addresses.
std::vector<Report> reports_of(const LibraryGeometry& geometry, const ElementStatusRequest& request) {
    std::vector<Report> reports;
    std::uint32_t left = request.count;
    for (const ElementRange& range : geometry.ranges()) {
        if (request.type != ElementType::kAll && request.type != range.type) continue;
        const std::uint32_t end = std::uint32_t{range.first} + range.count;
        const std::uint32_t first = std::max<std::uint32_t>(range.first, request.first);
        if (first >= end) continue;
        const std::uint32_t count = std::min(end - first, left);
        left -= count;
        if (count > 0) {
            reports.push_back({range, static_cast<ElementAddress>(first), static_cast<std::uint16_t>(count)});
        }
    }
    return reports;
}

std::uint8_t flags_of(ElementType type, const StoredCartridge* stored, bool accessible) {
    using namespace element_flag;
    const auto full = static_cast<std::uint8_t>(stored != nullptr ? FULL : 0);
    const auto access = static_cast<std::uint8_t>(accessible ? ACCESS : 0);
    switch (type) {
        case ElementType::kStorage: return full | ACCESS;
        case ElementType::kDataTransfer: return full | access;
        case ElementType::kImportExport:
            return static_cast<std::uint8_t>(full | ACCESS | EXENAB | INENAB |
                                             (stored != nullptr && stored->imported ? IMPEXP : 0));
        default: return full;
    }
}

/// As in the drive's own VPD page 83h, so that the two can be matched. (SPC-5 §7.7.6.4)
std::vector<std::uint8_t> designator_of(const UnitIdentity& identity) {
    ParameterData id;
    id.text(identity.vendor, 8).text(identity.serial, identity.serial.size());
    ParameterData data;
    data.byte(static_cast<std::uint8_t>(CodeSet::kAscii)).byte(static_cast<std::uint8_t>(DesignatorType::kT10VendorId));
    data.zeros(1).byte(id.size()).bytes(id.view());
    return data.take();
}

class Builder {
public:
    Builder(const Inventory& inventory, const ElementStatusRequest& request, const DriveOf& drive)
        : inventory_(inventory), request_(request), drive_(drive) {}

    std::vector<std::uint8_t> build() {
        const auto reports = reports_of(inventory_.geometry(), request_);
        std::uint32_t elements = 0;
        data_.zeros(kElementStatusHeaderBytes);
        mark();
        for (const Report& report : reports) {
            elements += report.count;
            page(report);
        }
        if (!reports.empty()) data_.set(0, reports.front().first, 2);
        data_.set(2, elements, 2).set(5, data_.size() - kElementStatusHeaderBytes, 3);
        auto bytes = data_.take();
        if (bytes.size() > request_.allocation_bytes) bytes.resize(whole_);
        return bytes;
    }

private:
    /// Up to here everything is whole; kept as long as the allocation length has room for it.
    void mark() {
        if (data_.size() <= request_.allocation_bytes) whole_ = data_.size();
    }

    void page(const Report& report) {
        const std::size_t length = descriptor_bytes(report);
        data_.byte(static_cast<std::uint8_t>(report.range.type)).byte(request_.volume_tags ? kPrimaryVolumeTags : 0);
        data_.number(length, 2).zeros(1).number(length * report.count, 3);
        for (std::uint32_t i = 0; i < report.count; ++i) {
            descriptor(report, static_cast<ElementAddress>(report.first + i), length);
            mark();
        }
    }

    void descriptor(const Report& report, ElementAddress element, std::size_t length) {
        const StoredCartridge* const stored = inventory_.find(element);
        const bool is_drive = report.range.type == ElementType::kDataTransfer;
        const DriveStatus drive = is_drive ? drive_(element - report.range.first) : DriveStatus{};
        const std::size_t end = data_.size() + length;
        data_.number(element, 2).byte(flags_of(report.range.type, stored, drive.accessible)).zeros(6);
        const bool has_source = stored != nullptr && stored->source != 0;
        data_.byte((has_source ? kSourceValid : 0) | (stored != nullptr ? kDataMedium : 0));
        data_.number(has_source ? stored->source : 0, 2);
        if (request_.volume_tags && stored != nullptr) {
            data_.text(stored->cartridge.barcode, kVolumeIdentifierBytes).zeros(4);
        } else if (request_.volume_tags) {
            data_.zeros(kVolumeTagBytes);
        }
        if (request_.device_identifiers && is_drive) data_.bytes(designator_of(drive.identity));
        data_.zeros(end - data_.size());
    }

    /// One length for all descriptors of a page; without identifier its header of four bytes is there and zero.
    [[nodiscard]] std::size_t descriptor_bytes(const Report& report) const {
        std::size_t length = 12 + 4 + (request_.volume_tags ? kVolumeTagBytes : 0);
        if (!request_.device_identifiers || report.range.type != ElementType::kDataTransfer) return length;
        std::size_t longest = 0;
        for (std::uint32_t i = 0; i < report.count; ++i) {
            const std::size_t number = report.first - report.range.first + std::size_t{i};
            longest = std::max(longest, 8 + drive_(number).identity.serial.size());
        }
        return length + longest;
    }

    const Inventory& inventory_;
    const ElementStatusRequest& request_;
    const DriveOf& drive_;
    ParameterData data_;
    std::size_t whole_ = 0;
};

} // namespace

std::vector<std::uint8_t> element_status(const Inventory& inventory, const ElementStatusRequest& request,
                                         const DriveOf& drive) {
    return Builder(inventory, request, drive).build();
}

} // namespace touka::scsi
