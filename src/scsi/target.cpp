#include "scsi/target.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <memory>
#include <utility>

#include "spec/scsi/inquiry.hpp"
#include "spec/scsi/operation.hpp"

namespace touka::scsi {

using namespace spec::scsi;

namespace {

LogicalUnit* find_unit(const Nexus& nexus, Lun lun) {
    const auto at = [&](Lun where) -> LogicalUnit* {
        const auto found = std::ranges::lower_bound(nexus.units, where, {}, &MappedUnit::lun);
        return found != nexus.units.end() && found->lun == where ? found->unit : nullptr;
    };
    if (LogicalUnit* const unit = at(lun)) return unit;
    // The same number in the other addressing method names the same unit.
    const auto number = lun.number();
    return number ? at(Lun::from_number(*number)) : nullptr;
}

/// Ends a task that no unit has.
void complete_with(Task& task, const Sense& sense) {
    task.status = Status::kCheckCondition;
    task.sense = encode(sense, SenseFormat::kFixed);
    task.complete();
}

void complete_with(Task& task, std::span<const std::uint8_t> data, std::uint64_t allocation_length) {
    task.status = put_parameter_data(task, data, allocation_length);
    task.complete();
}

/// (SPC-5 §6.33)
void report_luns(Task& task) {
    constexpr std::uint8_t kAddressable = 0x00, kWellKnown = 0x01, kAll = 0x02;
    const std::uint64_t allocation_length = task.cdb.number(6, 4);
    const std::uint8_t select = task.cdb[2];
    if (select > kAll) return complete_with(task, Sense::invalid_field_in_cdb(2, std::uint8_t{7}));
    if (allocation_length < 16) return complete_with(task, Sense::invalid_field_in_cdb(6));
    std::vector<std::uint8_t> data(8);
    const auto add = [&](Lun lun) {
        data.resize(data.size() + 8);
        store_number(std::span(data).last(8), lun.value);
    };
    if (select == kAddressable || select == kAll) {
        for (const MappedUnit& mapped : task.nexus->units) add(mapped.lun);
    }
    if (select == kWellKnown || select == kAll) add(kReportLunsWellKnownLun);
    store_number(std::span(data).first(4), data.size() - 8);
    for (const MappedUnit& mapped : task.nexus->units) mapped.unit->inventory_reported(*task.nexus);
    complete_with(task, data, allocation_length);
}

/// (SAM-6 §5.11 "Incorrect LUN")
void answer_without_unit(Task& task) {
    const bool well_known = task.lun == kReportLunsWellKnownLun;
    switch (task.cdb.operation_code()) {
        case operation::kInquiry: {
            if (task.cdb.bit(1, 0) || task.cdb[2] != 0) return complete_with(task, Sense::invalid_field_in_cdb(2));
            std::array<std::uint8_t, 36> data{};
            data[0] = well_known ? static_cast<std::uint8_t>(PeripheralDeviceType::kWellKnownLogicalUnit)
                                 : static_cast<std::uint8_t>(kNoUnitAtThisLun << 5 |
                                                             static_cast<std::uint8_t>(PeripheralDeviceType::kUnknown));
            data[2] = 0x06; // SPC-4, as units say
            data[3] = 0x12; // HISUP, response data format 2
            data[4] = data.size() - 5;
            std::fill(data.begin() + 8, data.end(), std::uint8_t{' '});
            return complete_with(task, data, task.cdb.number(3, 2));
        }
        case operation::kRequestSense: {
            const Sense sense = Sense::illegal_request(SenseCode::kLogicalUnitNotSupported);
            const auto format = task.cdb.bit(1, 0) ? SenseFormat::kDescriptor : SenseFormat::kFixed;
            return complete_with(task, encode(well_known ? Sense{} : sense, format).bytes(), task.cdb[4]);
        }
        case operation::kTestUnitReady:
            if (well_known) return task.complete();
            [[fallthrough]];
        default: break;
    }
    complete_with(task, Sense::illegal_request(well_known ? SenseCode::kInvalidCommandOperationCode
                                                          : SenseCode::kLogicalUnitNotSupported));
}

} // namespace

Nexus& Target::open(NexusName name, std::vector<MappedUnit> units) {
    assert(find(name) == nullptr);
    assert(std::ranges::is_sorted(units, {}, &MappedUnit::lun));
    OpenNexus& open = nexuses_.emplace_back();
    open.nexus = {.name = std::move(name), .index = next_index_++, .units = std::move(units)};
    for (const MappedUnit& mapped : open.nexus.units) mapped.unit->attach(open.nexus);
    return open.nexus;
}

Nexus* Target::find(const NexusName& name) {
    const auto found =
        std::ranges::find_if(nexuses_, [&](const OpenNexus& open) { return !open.closing && open.nexus.name == name; });
    return found == nexuses_.end() ? nullptr : &found->nexus;
}

void Target::close(Nexus& nexus, std::function<void()> done) {
    const auto open = find_open(nexus);
    assert(!open->closing);
    open->closing = true;
    open->closed = std::move(done);
    const auto units = nexus.units; // the nexus may go with the last of them
    open->detaching += units.size() + 1;
    for (const MappedUnit& mapped : units) mapped.unit->detach(nexus, [this, open] { detached(open); });
    detached(open);
}

std::list<Target::OpenNexus>::iterator Target::find_open(const Nexus& nexus) {
    const auto found = std::ranges::find_if(nexuses_, [&](const OpenNexus& open) { return &open.nexus == &nexus; });
    assert(found != nexuses_.end());
    return found;
}

/// One unit has nothing of the nexus any more; the nexus may go when no unit has, those that masking took away earlier
/// among them.
void Target::detached(std::list<OpenNexus>::iterator open) {
    if (--open->detaching > 0 || !open->closing) return;
    const auto closed = std::move(open->closed);
    nexuses_.erase(open);
    closed();
}

void Target::remap(Nexus& nexus, std::vector<MappedUnit> units) {
    const auto has = [](const std::vector<MappedUnit>& list, const LogicalUnit* unit) {
        return std::ranges::find(list, unit, &MappedUnit::unit) != list.end();
    };
    const auto open = find_open(nexus);
    assert(!open->closing);
    const auto before = std::exchange(nexus.units, std::move(units));
    for (const MappedUnit& mapped : before) {
        if (has(nexus.units, mapped.unit)) continue;
        ++open->detaching;
        mapped.unit->detach(nexus, [this, open] { detached(open); });
    }
    for (const MappedUnit& mapped : nexus.units) {
        if (has(before, mapped.unit)) {
            mapped.unit->inventory_changed(nexus);
        } else {
            mapped.unit->attach(nexus);
        }
    }
}

void Target::submit(Task& task) {
    LogicalUnit* const unit = find_unit(*task.nexus, task.lun);
    const bool answers_for_all = unit != nullptr || task.lun == Lun{} || task.lun == kReportLunsWellKnownLun;
    if (task.cdb.operation_code() == operation::kReportLuns && answers_for_all) return report_luns(task);
    if (unit == nullptr) return answer_without_unit(task);
    if (std::ranges::find(touched_, unit) == touched_.end()) touched_.push_back(unit);
    unit->submit(task);
}

void Target::commit() {
    for (LogicalUnit* unit : touched_) unit->commit();
    touched_.clear();
}

void Target::manage(TaskManagementFunction function, Nexus& nexus, Lun lun, std::uint64_t tag,
                    std::function<void(TaskManagementResponse)> done) {
    const bool all_units =
        function == TaskManagementFunction::kTargetReset || function == TaskManagementFunction::kItNexusReset;
    if (!all_units) {
        LogicalUnit* const unit = find_unit(nexus, lun);
        if (unit == nullptr) return done(TaskManagementResponse::kIncorrectLun);
        return unit->manage(function, nexus, tag, std::move(done));
    }
    const auto units = nexus.units; // the nexus may go with the last answer
    if (units.empty()) return done(TaskManagementResponse::kComplete);
    struct Answers {
        std::size_t left;
        bool failed;
        std::function<void(TaskManagementResponse)> done;
    };
    const auto answers =
        std::make_shared<Answers>(units.size(), false, std::move(done)); // the units' callbacks share it
    for (const MappedUnit& mapped : units) {
        mapped.unit->manage(function, nexus, tag, [answers](TaskManagementResponse response) {
            answers->failed |= response == TaskManagementResponse::kTargetFailure;
            if (--answers->left > 0) return;
            answers->done(answers->failed ? TaskManagementResponse::kTargetFailure : response);
        });
    }
}

} // namespace touka::scsi
