#include "scsi/copy/copy_manager.hpp"

#include <algorithm>
#include <utility>

#include "scsi/copy/copy_capabilities.hpp"
#include "spec/scsi/operation.hpp"

namespace touka::scsi {

using namespace spec::scsi;

namespace {

std::unexpected<CopyFailure> unreachable() {
    return std::unexpected(CopyFailure{.code = SenseCode::kCopyTargetDeviceNotReachable});
}

CopyFailure answer_of(ForwardedSenseSource from, const Sense& sense) { return {.from = from, .sense = sense}; }

/// What a READ or WRITE of this nexus would be refused with.
std::optional<CopyFailure> check_access(const Task& task, const DiskCore& core, const BlockRange& range,
                                        ForwardedSenseSource side) {
    const bool writes = side == ForwardedSenseSource::kCopyDestination;
    if (const auto sense = core.server.check_gates(task)) return answer_of(side, *sense);
    if (core.server.conflicts(task.nexus->name, writes ? ReservationClass::kChanges : ReservationClass::kReads)) {
        return CopyFailure{.from = side, .status = Status::kReservationConflict};
    }
    if (const auto sense = core.server.readiness()) return answer_of(side, *sense);
    if (core.server.medium_blocked()) return CopyFailure{.from = side, .status = Status::kBusy};
    if (const auto sense = core.check_range(range)) { // the copy manager's own finding: no device failed
        return CopyFailure{.code = SenseCode::kNoAdditionalSense, .from = side, .sense = sense};
    }
    if (!writes) return std::nullopt;
    const auto sense = core.check_writable();
    return sense ? std::optional(answer_of(side, *sense)) : std::nullopt;
}

} // namespace

CopyManager::CopyManager(DiskUnit& disk, const CopyDirectory& directory)
    : disk_(disk), server_(disk.server()), directory_(directory) {
    using namespace operation;
    server_.add({.service_action = service_action::kExtendedCopyLid1,
                 .usage = {kThirdPartyCopyOut, 0x1F, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0},
                 .reservation = changes_unit,
                 .execute = [this](Task& task) { extended_copy(task); }});
    for (const std::uint16_t action :
         {service_action::kReceiveCopyStatusLid1, service_action::kReceiveCopyOperatingParameters,
          service_action::kReceiveCopyFailureDetailsLid1}) {
        server_.add({.service_action = action,
                     .usage = {kThirdPartyCopyIn, 0x1F, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0},
                     .reservation = changes_unit,
                     .despite_not_ready = true,
                     .execute = [this, action](Task& task) { receive(task, action); }});
    }
    server_.add_observer(*this);
    disk.inquiry().announce_third_party_copy();
    disk.inquiry().add_page(VpdPage::kThirdPartyCopy, [](const Nexus&) { return third_party_copy_page(); });
}

void CopyManager::extended_copy(Task& task) {
    constexpr std::size_t kListLimitBytes = kCopyListHeaderBytes + copy_limit::kDescriptorListBytes;
    const std::uint64_t length = task.cdb.number(10, 4);
    if (length == 0) return server_.good(task);
    const auto length_error = Sense::illegal_request(SenseCode::kParameterListLengthError);
    if (length > kListLimitBytes) return server_.check(task, length_error);
    const auto bytes = DeviceServer::parameters(task, length);
    if (bytes.size() < length) return server_.check(task, length_error);
    auto list = parse_copy_list(bytes);
    if (!list) return server_.check(task, list.error());
    if (under_way_ == copy_limit::kConcurrentCopies) return server_.finish(task, Status::kBusy);
    CopyRecords::Handle record;
    if (list->usage == ListIdUsage::kNone) {
        record = std::make_shared<CopyRecord>();
    } else {
        record = records_.begin(task.nexus->name, list->identifier);
    }
    if (!record) return server_.check(task, Sense::illegal_request(SenseCode::kOperationInProgress));
    copy(task, std::move(*list), std::move(record));
}

/// The unit of a target descriptor, if there is one and the nexus sees it.
std::expected<DiskCore*, CopyFailure> CopyManager::reach(const Task& task, const CopyList& list,
                                                         std::uint16_t index) const {
    if (index >= list.targets.size() || !list.targets[index].naa) return unreachable();
    const CopyTarget& target = list.targets[index];
    const auto endpoint = directory_.find(*target.naa);
    if (!endpoint) return unreachable();
    const bool seen =
        endpoint->unit == &disk_.unit() ||
        std::ranges::find(task.nexus->units, endpoint->unit, &MappedUnit::unit) != task.nexus->units.end();
    if (!seen || endpoint->core->background.stopping()) return unreachable();
    if (!target.direct_access) return std::unexpected(CopyFailure{.code = SenseCode::kIncorrectCopyTargetDeviceType});
    if (target.block_bytes != 0 && target.block_bytes != endpoint->core->block_bytes) {
        return std::unexpected(CopyFailure{.code = SenseCode::kInvalidFieldInParameterList});
    }
    return endpoint->core;
}

std::expected<CopyTransfer, CopyFailure> CopyManager::resolve(const Task& task, const CopyList& list,
                                                              const CopySegment& segment) const {
    const auto source = reach(task, list, segment.source);
    if (!source) return std::unexpected(source.error());
    const auto destination = reach(task, list, segment.destination);
    if (!destination) return std::unexpected(destination.error());
    const DiskCore &from = **source, &to = **destination;
    const std::uint64_t length_bytes = (segment.count_is_destinations ? to : from).bytes(segment.count);
    if (length_bytes % from.block_bytes != 0 || length_bytes % to.block_bytes != 0) {
        return std::unexpected(CopyFailure{.code = SenseCode::kUnexpectedInexactSegment});
    }
    const BlockRange read{segment.source_lba, length_bytes / from.block_bytes},
        written{segment.destination_lba, length_bytes / to.block_bytes};
    if (const auto failure = check_access(task, from, read, ForwardedSenseSource::kCopySource)) {
        return std::unexpected(*failure);
    }
    if (const auto failure = check_access(task, to, written, ForwardedSenseSource::kCopyDestination)) {
        return std::unexpected(*failure);
    }
    return CopyTransfer{*source, *destination, from.bytes(read.lba), to.bytes(written.lba), length_bytes};
}

Job CopyManager::copy(Task& task, CopyList list, CopyRecords::Handle record) {
    ++under_way_;
    for (const CopySegment& segment : list.segments) {
        ++record->segments;
        const auto transfer = resolve(task, list, segment);
        if (!transfer) {
            end(task, list, record, &transfer.error());
            co_return;
        }
        Step<std::optional<CopyFailure>> carrying = carry_out(*transfer, task, *record);
        const std::optional<CopyFailure> failure = co_await carrying;
        if (failure) {
            end(task, list, record, &*failure);
            co_return;
        }
        if (task.link.abort_requested) break;
    }
    end(task, list, record, nullptr);
}

/// Ends the task, after what RECEIVE COPY STATUS says of it.
void CopyManager::end(Task& task, const CopyList& list, const CopyRecords::Handle& record, const CopyFailure* failure) {
    --under_way_;
    const bool failed = failure != nullptr || task.link.abort_requested;
    record->state = failed ? CopyStatus::kFailed : CopyStatus::kCompleted;
    if (failure != nullptr) {
        const auto segment = static_cast<std::uint16_t>(record->segments - 1);
        record->status = Status::kCheckCondition;
        record->sense = copy_aborted(*failure, segment, server_.sense_format());
    }
    if (list.usage == ListIdUsage::kDiscard) records_.forget(task.nexus->name, list.identifier, record);
    if (failure == nullptr) return server_.good(task);
    server_.check(task, record->sense);
}

/// What was told wholly is forgotten, but a failure's status as long as its details are there. (SPC-4 §6.21, §6.23)
void CopyManager::receive(Task& task, std::uint16_t service_action) {
    const std::uint8_t identifier = task.cdb[2];
    const std::uint64_t allocation_length = task.cdb.number(10, 4);
    if (service_action == service_action::kReceiveCopyOperatingParameters) {
        return server_.reply(task, copy_operating_parameters(), allocation_length);
    }
    const auto record = records_.find(task.nexus->name, identifier);
    if (!record) return server_.check(task, Sense::invalid_field_in_cdb(2));
    const bool details = service_action == service_action::kReceiveCopyFailureDetailsLid1;
    const auto data = details ? copy_failure_data(*record) : copy_status_data(*record);
    const bool told = allocation_length >= data.size() || (details && allocation_length == 0);
    const bool over = record->state == CopyStatus::kCompleted || (record->state == CopyStatus::kFailed && details);
    if (told && over) records_.forget(task.nexus->name, identifier, record);
    server_.reply(task, data, allocation_length);
}

} // namespace touka::scsi
