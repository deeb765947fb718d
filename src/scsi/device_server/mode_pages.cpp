#include "scsi/device_server/mode_pages.hpp"

#include <algorithm>
#include <cassert>

#include "scsi/parameter_data.hpp"
#include "spec/scsi/operation.hpp"

namespace touka::scsi {

using namespace spec::scsi;

namespace {

constexpr std::uint8_t kAllPages = 0x3F, kAllSubpages = 0xFF, kSubpageFormat = 0x40;
constexpr std::uint8_t kControlPage = 0x0A;
// Control mode page, counted from what follows PAGE LENGTH. (SPC-5 §7.5.10)
constexpr std::uint8_t kDSense = 0x04, kSoftwareWriteProtect = 0x08, kTaskAbortedStatus = 0x40,
                       kApplicationTagOwner = 0x80;

std::optional<Sense> list_length_error() { return Sense::illegal_request(SenseCode::kParameterListLengthError); }

/// One page of a MODE SELECT list.
struct PageImage {
    std::uint8_t page, subpage;
    std::size_t content_at; ///< from the start of the list
    std::span<const std::uint8_t> content;
};

/// @return nothing when the list ends within the page.
std::optional<PageImage> next_page(std::span<const std::uint8_t> list, std::size_t offset) {
    const auto rest = list.subspan(offset);
    const bool with_subpage = (rest[0] & kSubpageFormat) != 0;
    const std::size_t header = with_subpage ? 4 : 2;
    if (rest.size() < header) return std::nullopt;
    const std::size_t length = with_subpage ? load_number(rest.subspan(2, 2)) : rest[1];
    if (rest.size() - header < length) return std::nullopt;
    return PageImage{static_cast<std::uint8_t>(rest[0] & 0x3F), with_subpage ? rest[1] : std::uint8_t{0},
                     offset + header, rest.subspan(header, length)};
}

/// Where `content` changes what may not change.
std::optional<Sense> check_changes(const ModePage& page, const PageImage& image) {
    if (image.content.size() != page.current.size()) {
        return Sense::invalid_field_in_parameters(static_cast<std::uint16_t>(image.content_at - 1));
    }
    for (std::size_t i = 0; i < image.content.size(); ++i) {
        if (((image.content[i] ^ page.current[i]) & ~page.changeable[i]) != 0) {
            return Sense::invalid_field_in_parameters(static_cast<std::uint16_t>(image.content_at + i));
        }
    }
    return std::nullopt;
}

} // namespace

ModePages::ModePages(DeviceServer& server, Header header) : server_(server), header_(std::move(header)) {
    const auto add = [&](std::vector<std::uint8_t> usage, ReservationClass (*rule)(const Cdb&),
                         void (ModePages::*execute)(Task&, bool), bool ten) {
        server.add({.usage = std::move(usage),
                    .reservation = rule,
                    .despite_not_ready = true,
                    .execute = [this, execute, ten](Task& task) { (this->*execute)(task, ten); }});
    };
    using namespace operation;
    add({kModeSense6, 0x08, 0xFF, 0xFF, 0xFF, 0}, reads_only, &ModePages::sense, false);
    add({kModeSense10, 0x18, 0xFF, 0xFF, 0, 0, 0, 0xFF, 0xFF, 0}, reads_only, &ModePages::sense, true);
    add({kModeSelect6, 0x11, 0, 0, 0xFF, 0}, changes_unit, &ModePages::select, false);
    add({kModeSelect10, 0x11, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0}, changes_unit, &ModePages::select, true);
    server.add_observer(*this);

    ModePage control;
    control.current = {0x00, 0x10, 0x00, 0x00, 0, 0, 0xFF, 0xFF, 0, 0}; // unrestricted reordering; never busy
    control.changeable = {kDSense, 0x00, kSoftwareWriteProtect, kTaskAbortedStatus, 0, 0, 0, 0, 0, 0};
    control.apply = [this](std::span<const std::uint8_t> content) -> std::optional<Sense> {
        server_.set_sense_format((content[0] & kDSense) != 0 ? SenseFormat::kDescriptor : SenseFormat::kFixed);
        server_.set_task_aborted_status((content[3] & kTaskAbortedStatus) != 0);
        return std::nullopt;
    };
    add_page(kControlPage, 0, std::move(control));
}

void ModePages::add_page(std::uint8_t page, std::uint8_t subpage, ModePage content) {
    assert(content.current.size() == content.changeable.size());
    auto defaults = content.current;
    pages_.emplace(Key{page, subpage}, Entry{std::move(content), std::move(defaults)});
}

std::span<const std::uint8_t> ModePages::page(std::uint8_t page, std::uint8_t subpage) const {
    return pages_.at({page, subpage}).page.current;
}

bool ModePages::software_write_protect() const { return (page(kControlPage)[2] & kSoftwareWriteProtect) != 0; }
bool ModePages::task_aborted_status() const { return (page(kControlPage)[3] & kTaskAbortedStatus) != 0; }

void ModePages::offer_application_tag_owner() {
    Entry& control = pages_.at({kControlPage, 0});
    for (auto* bytes : {&control.page.current, &control.page.changeable, &control.defaults}) {
        (*bytes)[3] |= kApplicationTagOwner;
    }
}
bool ModePages::application_tag_owner() const { return (page(kControlPage)[3] & kApplicationTagOwner) != 0; }

void ModePages::logical_unit_reset() {
    for (auto& [key, entry] : pages_) {
        if (entry.page.current == entry.defaults) continue;
        entry.page.current = entry.defaults;
        if (entry.page.apply) (void)entry.page.apply(entry.page.current);
    }
}

std::vector<std::uint8_t> ModePages::image(const Key& key, const Entry& entry, PageControl control) const {
    const auto& content = control == PageControl::kChangeable ? entry.page.changeable
                          : control == PageControl::kDefault  ? entry.defaults
                                                              : entry.page.current;
    ParameterData data;
    if (key.second == 0) {
        data.byte(key.first).byte(content.size());
    } else {
        data.byte(key.first | kSubpageFormat).byte(key.second).number(content.size(), 2);
    }
    return data.bytes(content).take();
}

void ModePages::sense(Task& task, bool ten) {
    const Cdb& cdb = task.cdb;
    const bool disable_descriptors = cdb.bit(1, 3), long_lba = ten && cdb.bit(1, 4);
    const auto control = static_cast<PageControl>(cdb[2] >> 6);
    const auto page = static_cast<std::uint8_t>(cdb[2] & 0x3F), subpage = cdb[3];
    if (control == PageControl::kSaved) {
        return server_.check(task, Sense::illegal_request(SenseCode::kSavingParametersNotSupported));
    }
    ParameterData pages;
    bool found = false;
    for (const auto& [key, entry] : pages_) {
        const bool page_fits = page == kAllPages || page == key.first;
        if (!page_fits || (subpage != kAllSubpages && subpage != key.second)) continue;
        found = true;
        pages.bytes(image(key, entry, control));
    }
    // Page 0 has no format of its own: tape drivers ask for header and block descriptor with it. (SPC-5 §7.5.8)
    const bool header_alone = page == 0 && subpage == 0 && header_.block_descriptor;
    if (!found && page != kAllPages && !header_alone)
        return server_.check(task, Sense::invalid_field_in_cdb(2, std::uint8_t{5}));
    if (!found && subpage != 0) return server_.check(task, Sense::invalid_field_in_cdb(3));

    const auto descriptor = disable_descriptors || !header_.block_descriptor ? std::vector<std::uint8_t>()
                                                                             : header_.block_descriptor(long_lba);
    ParameterData data;
    data.number(0, ten ? 2 : 1).byte(header_.medium_type).byte(header_.device_specific());
    if (ten) data.byte(long_lba && !descriptor.empty() ? 1 : 0).zeros(1);
    data.number(descriptor.size(), ten ? 2 : 1).bytes(descriptor).bytes(pages.view());
    const std::size_t length_bytes = ten ? 2 : 1;
    data.set(0, data.size() - length_bytes, length_bytes);
    server_.reply(task, data.view(), ten ? cdb.number(7, 2) : cdb[4]);
}

void ModePages::select(Task& task, bool ten) {
    const Cdb& cdb = task.cdb;
    if (cdb.bit(1, 0)) return server_.check(task, Sense::invalid_field_in_cdb(1, std::uint8_t{0})); // SP
    const std::size_t length = ten ? cdb.number(7, 2) : cdb[4];
    const auto list = DeviceServer::parameters(task, length);
    if (length == 0) return server_.good(task);
    const std::size_t header_bytes = ten ? 8 : 4;
    if (list.size() < length || list.size() < header_bytes) return server_.check(task, *list_length_error());
    const std::size_t descriptor_bytes = ten ? load_number(std::span(list).subspan(6, 2)) : list[3];
    if (list.size() - header_bytes < descriptor_bytes) return server_.check(task, *list_length_error());
    if (!cdb.bit(1, 4) && list.size() > header_bytes + descriptor_bytes) { // pages need PF
        return server_.check(task, Sense::invalid_field_in_cdb(1, std::uint8_t{4}));
    }
    std::vector<Change> changes;
    std::optional<Sense> wrong = choose_pages(list, header_bytes + descriptor_bytes, changes);
    if (!wrong && header_.set_device_specific) wrong = header_.set_device_specific(list[ten ? 3 : 2]);
    if (!wrong && descriptor_bytes > 0) {
        const auto descriptor = std::span(list).subspan(header_bytes, descriptor_bytes);
        wrong = header_.set_block_descriptor
                    ? header_.set_block_descriptor(descriptor)
                    : Sense::invalid_field_in_parameters(static_cast<std::uint16_t>(ten ? 6 : 3));
    }
    if (!wrong) wrong = change_pages(changes);
    if (wrong) return server_.check(task, *wrong);
    server_.attentions().establish_for_others(&task.nexus->name, SenseCode::kModeParametersChanged);
    server_.good(task);
}

/// All pages, and the block descriptor, are checked before the first one changes. (SPC-5 §6.13.1)
std::optional<Sense> ModePages::choose_pages(std::span<const std::uint8_t> list, std::size_t offset,
                                             std::vector<Change>& changes) {
    while (offset < list.size()) {
        const auto image = next_page(list, offset);
        if (!image) return list_length_error();
        const auto entry = pages_.find({image->page, image->subpage});
        if (entry == pages_.end()) return Sense::invalid_field_in_parameters(static_cast<std::uint16_t>(offset));
        if (const auto wrong = check_changes(entry->second.page, *image)) return wrong;
        changes.push_back({&entry->second, image->content});
        offset = image->content_at + image->content.size();
    }
    return std::nullopt;
}

std::optional<Sense> ModePages::change_pages(const std::vector<Change>& changes) {
    for (const auto& [entry, content] : changes) {
        if (entry->page.apply) {
            if (const auto wrong = entry->page.apply(content)) return wrong;
        }
        entry->page.current.assign(content.begin(), content.end());
    }
    return std::nullopt;
}

} // namespace touka::scsi
