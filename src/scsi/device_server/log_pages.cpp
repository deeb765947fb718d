#include "scsi/device_server/log_pages.hpp"

#include <set>

#include "scsi/parameter_data.hpp"
#include "spec/scsi/operation.hpp"

namespace touka::scsi {

using namespace spec::scsi;

namespace {
constexpr std::uint8_t kSupportedSubpages = 0xFF, kSubpageFormat = 0x40;
}

LogPages::LogPages(DeviceServer& server) : server_(server) {
    using namespace operation;
    server.add({.usage = {kLogSense, 0x02, 0xFF, 0xFF, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0},
                .reservation = always_allowed,
                .despite_not_ready = true,
                .execute = [this](Task& task) { sense(task); }});
    server.add({.usage = {kLogSelect, 0x02, 0xFF, 0xFF, 0, 0, 0, 0xFF, 0xFF, 0},
                .despite_not_ready = true,
                .execute = [this](Task& task) { select(task); }});
}

void LogPages::add_page(std::uint8_t page, std::uint8_t subpage, Parameters parameters, std::function<void()> reset) {
    pages_.insert_or_assign({page, subpage}, Entry{std::move(parameters), std::move(reset)});
}

std::vector<std::uint8_t> LogPages::supported(bool subpages) const {
    std::set<std::pair<std::uint8_t, std::uint8_t>> keys{{0, 0}};
    if (subpages) keys.insert({0, kSupportedSubpages});
    for (const auto& [key, entry] : pages_) {
        if (subpages || key.second == 0) keys.insert(key);
    }
    ParameterData data;
    for (const auto& [page, subpage] : keys) {
        data.byte(page);
        if (subpages) data.byte(subpage);
    }
    return data.take();
}

void LogPages::sense(Task& task) {
    const Cdb& cdb = task.cdb;
    const auto page = static_cast<std::uint8_t>(cdb[2] & 0x3F), subpage = cdb[3];
    const auto control = static_cast<unsigned>(cdb[2] >> 6);
    const std::uint64_t first_code = cdb.number(5, 2);
    const auto entry = pages_.find({page, subpage});
    const bool list = page == 0 && (subpage == 0 || subpage == kSupportedSubpages);
    if (!list && entry == pages_.end()) return server_.check(task, Sense::invalid_field_in_cdb(2, std::uint8_t{5}));
    if (control != 1 && !list) { // cumulative values alone: thresholds are not there
        return server_.check(task, Sense::invalid_field_in_cdb(2, std::uint8_t{7}));
    }
    ParameterData data;
    data.byte(page | (subpage != 0 ? kSubpageFormat : 0)).byte(subpage).number(0, 2);
    if (list) {
        data.bytes(supported(subpage != 0));
    } else {
        bool found = first_code == 0;
        for (const LogParameter& parameter : entry->second.parameters()) {
            if (parameter.code < first_code) continue;
            found = true;
            data.number(parameter.code, 2).byte(parameter.control).byte(parameter.value.size());
            data.bytes(parameter.value);
        }
        if (!found) return server_.check(task, Sense::invalid_field_in_cdb(5));
    }
    data.set(2, data.size() - 4, 2);
    server_.reply(task, data.view(), cdb.number(7, 2));
}

/// PCR (byte 1 bit 1) alone: parameter values from outside are not taken.
void LogPages::select(Task& task) {
    const auto page = static_cast<std::uint8_t>(task.cdb[2] & 0x3F), subpage = task.cdb[3];
    if (task.cdb.number(7, 2) != 0) return server_.check(task, Sense::invalid_field_in_cdb(7));
    const auto entry = pages_.find({page, subpage});
    const bool all = page == 0 && subpage == 0;
    if (!all && entry == pages_.end()) return server_.check(task, Sense::invalid_field_in_cdb(2, std::uint8_t{5}));
    if (task.cdb.bit(1, 1)) {
        for (const auto& [key, page_entry] : pages_) {
            if ((all || key == entry->first) && page_entry.reset) page_entry.reset();
        }
    }
    server_.good(task);
}

} // namespace touka::scsi
