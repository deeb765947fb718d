#include "scsi/disk/maintenance.hpp"

#include <algorithm>
#include <utility>

#include "scsi/disk/protected_disk.hpp"

#include "scsi/parameter_data.hpp"

namespace touka::scsi {

using namespace spec::scsi;
using storage::BlockOperation;
using storage::BlockStatus;

namespace {

// SANITIZE service actions and the bits of byte 1. (SBC-4 §5.21)
constexpr std::uint16_t kOverwrite = 0x01, kBlockErase = 0x02, kExitFailureMode = 0x1F;
constexpr unsigned kImmediateBit = 7, kUnrestrictedExitBit = 5;
constexpr std::uint64_t kStepBytes = 4ull << 20;

} // namespace

Maintenance::Maintenance(DiskCore& core, const MediumRemoval& removal, bool removable)
    : core_(core), removal_(removal), removable_(removable) {
    using namespace operation;
    DeviceServer& server = core.server;
    server.add(
        {.usage = {kFormatUnit, static_cast<std::uint8_t>(0x3F | (core.protect_field() & kFormatProtectionField)), 0, 0,
                   0, 0},
         .execute = [this](Task& task) { format_unit(task); }});
    for (const std::uint16_t action : {kOverwrite, kBlockErase, kExitFailureMode}) {
        server.add({.service_action = action,
                    .usage = {kSanitize, 0xBF, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0},
                    .despite_not_ready = true, // after one that failed another one may be tried
                    .execute = [this](Task& task) { sanitize(task); }});
    }
    server.add({.usage = {kStartStopUnit, 0x01, 0, 0x0F, 0xF7, 0},
                .reservation =
                    [](const Cdb& cdb) { // SBC-4 table 13: starting is allowed, all else conflicts
                        const bool starts = cdb.bit(4, 0) && cdb[4] >> 4 == 0 && !cdb.bit(4, 1);
                        return starts ? ReservationClass::kAllowed : ReservationClass::kChanges;
                    },
                .despite_not_ready = true,
                .execute = [this](Task& task) { start_stop(task); }});
    server.add({.usage = {kReadDefectData10, 0, 0x1F, 0, 0, 0, 0, 0xFF, 0xFF, 0},
                .reservation = reads_only,
                .execute = [this](Task& task) { read_defect_data(task, false); }});
    server.add({.usage = {kReadDefectData12, 0x1F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0},
                .reservation = reads_only,
                .execute = [this](Task& task) { read_defect_data(task, true); }});
    server.add_observer(*this);
}

std::optional<Sense> Maintenance::readiness() const {
    if (operation_ != Operation::kNone) {
        Sense sense = Sense::not_ready(operation_ == Operation::kFormat ? SenseCode::kFormatInProgress
                                                                        : SenseCode::kSanitizeInProgress);
        const long double part =
            total_bytes_ == 0 ? 0 : static_cast<long double>(done_bytes_) / static_cast<long double>(total_bytes_);
        sense.progress = static_cast<std::uint16_t>(std::min(part * 65536.0L, 65535.0L));
        return sense;
    }
    if (sanitize_failed_) return Sense::of(SenseKey::kMediumError, SenseCode::kSanitizeCommandFailed);
    if (!medium_present_) return Sense::not_ready(SenseCode::kMediumNotPresent);
    if (!started_) return Sense::not_ready(SenseCode::kInitializingCommandRequired);
    return std::nullopt;
}

/// A sanitize operation goes on over a reset (SBC-4 §4.11.3), so does a format operation here.
void Maintenance::logical_unit_reset() { started_ = true; }

void Maintenance::set_medium_present(bool present, const NexusName* by) {
    if (present && !medium_present_) {
        core_.server.attentions().establish_for_others(by, SenseCode::kNotReadyToReadyChange);
    }
    medium_present_ = present;
}

/// Without a parameter list, or with one whose header asks for nothing that is absent. (SBC-4 §5.4)
void Maintenance::format_unit(Task& task) {
    constexpr std::uint8_t kFormatData = 0x10, kLongList = 0x20, kProtectionInterval = 0x0F, kImmediate = 0x02,
                           kInitializationPattern = 0x08;
    const std::uint8_t flags = task.cdb[1];
    if (const auto sense = core_.check_writable()) return core_.server.check(task, *sense);
    bool immediate = false;
    std::uint8_t usage = 0;
    if ((flags & kFormatData) != 0) {
        const std::size_t header_bytes = (flags & kLongList) != 0 ? 8 : 4;
        const auto list = DeviceServer::parameters(task, header_bytes);
        if (list.size() < header_bytes) {
            return core_.server.check(task, Sense::illegal_request(SenseCode::kParameterListLengthError));
        }
        immediate = (list[1] & kImmediate) != 0;
        usage = list[0] & kProtectionFieldUsage;
        if ((list[1] & kInitializationPattern) != 0)
            return core_.server.check(task, Sense::invalid_field_in_parameters(1));
        const bool long_list = header_bytes == 8;
        if (long_list && (list[3] & kProtectionInterval) != 0) {
            return core_.server.check(task, Sense::invalid_field_in_parameters(3));
        }
        const std::uint64_t defects =
            long_list ? load_number(std::span(list).subspan(4, 4)) : load_number(std::span(list).subspan(2, 2));
        if (defects != 0) {
            return core_.server.check(task, Sense::invalid_field_in_parameters(long_list ? 4 : 2));
        }
    } else if ((flags & ~kFormatData & 0x3F) != 0) {
        return core_.server.check(task, Sense::invalid_field_in_cdb(1));
    }
    Filling filling;
    if (const auto sense = parse_protection(flags, usage, filling)) return core_.server.check(task, *sense);
    filling.from = task.nexus->name;
    fill(immediate ? nullptr : &task, Operation::kFormat, std::move(filling));
    if (immediate) core_.server.good(task);
}

/// (SBC-4 table 43)
std::optional<Sense> Maintenance::parse_protection(std::uint8_t flags, std::uint8_t usage, Filling& filling) const {
    const unsigned information = flags >> kFormatProtectionShift;
    if (information == 1) return Sense::invalid_field_in_cdb(1, std::uint8_t{7});
    if (usage > (information == 3 ? 1 : 0)) return Sense::invalid_field_in_parameters(0, std::uint8_t{2});
    if (core_.protection != nullptr) {
        filling.protection = information == 0   ? ProtectionType::kNone
                             : information == 2 ? ProtectionType::kType1
                             : usage == 0       ? ProtectionType::kType2
                                                : ProtectionType::kType3;
    }
    return std::nullopt;
}

void Maintenance::sanitize(Task& task) {
    const Cdb& cdb = task.cdb;
    const std::uint16_t action = cdb.service_action();
    if (operation_ != Operation::kNone) return core_.server.check(task, *readiness());
    if (action == kExitFailureMode) {
        if (cdb.number(7, 2) != 0) return core_.server.check(task, Sense::invalid_field_in_cdb(7));
        // In restricted completion mode another operation has to succeed. (SBC-4 §4.11.4)
        if (sanitize_failed_ && !unrestricted_exit_)
            return core_.server.check(task, Sense::invalid_field_in_cdb(1, std::uint8_t{4}));
        sanitize_failed_ = false;
        return core_.server.good(task);
    }
    if (const auto sense = sanitize_failed_ ? std::nullopt : readiness()) return core_.server.check(task, *sense);
    if (const auto sense = core_.check_writable()) return core_.server.check(task, *sense);
    Filling filling;
    if (action == kOverwrite) {
        if (const auto sense = parse_overwrite(task, filling)) return core_.server.check(task, *sense);
    } else if (cdb.number(7, 2) != 0) {
        return core_.server.check(task, Sense::invalid_field_in_cdb(7));
    }
    const bool immediate = cdb.bit(1, kImmediateBit);
    unrestricted_exit_ = cdb.bit(1, kUnrestrictedExitBit);
    fill(immediate ? nullptr : &task, Operation::kSanitize, std::move(filling));
    if (immediate) core_.server.good(task);
}

/// (SBC-4 §5.21.3)
std::optional<Sense> Maintenance::parse_overwrite(Task& task, Filling& filling) const {
    constexpr std::uint8_t kInvert = 0x80, kTestMask = 0x60, kCountMask = 0x1F;
    const std::size_t length = task.cdb.number(7, 2);
    if (length < 5 || length > core_.block_bytes + std::size_t{4}) return Sense::invalid_field_in_cdb(7);
    const auto list = DeviceServer::parameters(task, length);
    if (list.size() < length) return Sense::illegal_request(SenseCode::kParameterListLengthError);
    filling.invert = (list[0] & kInvert) != 0;
    filling.passes = list[0] & kCountMask;
    const std::size_t pattern_bytes = load_number(std::span(list).subspan(2, 2));
    if ((list[0] & kTestMask) != 0 || filling.passes == 0) return Sense::invalid_field_in_parameters(0);
    if (pattern_bytes == 0 || pattern_bytes != length - 4) return Sense::invalid_field_in_parameters(2);
    filling.pattern.assign(list.begin() + 4, list.end());
    return std::nullopt;
}

/// An aborted task ends at the next step; the operation goes on without it.
Job Maintenance::fill(Task* task, Operation operation, Filling filling) {
    const BackgroundJobs::Running running(core_.background);
    operation_ = operation;
    done_bytes_ = 0;
    total_bytes_ = core_.bytes(core_.block_count) * filling.passes;
    BlockStatus status = BlockStatus::kIoError;
    {
        RangeHold hold(core_.ranges, {0, core_.block_count}, true); // what was under way when this came
        co_await hold;
        const bool protection = core_.protection != nullptr;
        if (!core_.failure()) status = BlockStatus::kOk;
        if (status == BlockStatus::kOk && protection) { // first: old information would not fit to what is filled in
            Step<BlockStatus> resetting = core_.protection->store().reset({0, core_.block_count}, true);
            status = co_await resetting;
        }
        if (status == BlockStatus::kOk) {
            Step<BlockStatus> filling_blocks = fill_blocks(filling, task);
            status = co_await filling_blocks;
            if (core_.background.stopping()) co_return;
        }
        if (status == BlockStatus::kOk && protection && filling.protection) {
            Step<BlockStatus> setting = set_protection(filling);
            status = co_await setting;
        }
    }
    operation_ = Operation::kNone;
    if (operation == Operation::kSanitize) sanitize_failed_ = status != BlockStatus::kOk;
    if (task == nullptr) co_return;
    if (status == BlockStatus::kOk) {
        core_.server.good(*task);
    } else {
        core_.server.check(*task, Sense::of(SenseKey::kMediumError, operation == Operation::kFormat
                                                                        ? SenseCode::kFormatCommandFailed
                                                                        : SenseCode::kSanitizeCommandFailed));
    }
}

Step<BlockStatus> Maintenance::fill_blocks(const Filling& filling, Task*& task) {
    const std::uint64_t size_bytes = core_.bytes(core_.block_count);
    const bool zeros = filling.pattern.empty();
    std::vector<std::uint8_t> data;
    if (!zeros) {
        data.resize(std::min(size_bytes, kStepBytes / core_.block_bytes * core_.block_bytes));
        for (std::size_t i = 0; i < data.size(); ++i) {
            data[i] = filling.pattern[i % core_.block_bytes % filling.pattern.size()];
        }
    }
    BlockStatus status = BlockStatus::kOk;
    for (unsigned pass = 0; pass < filling.passes && status == BlockStatus::kOk; ++pass) {
        if (filling.invert && pass > 0) {
            for (std::uint8_t& byte : data) byte = static_cast<std::uint8_t>(~byte);
        }
        for (std::uint64_t at = 0; at < size_bytes && status == BlockStatus::kOk;) {
            const iovec buffer{
                .iov_base = data.data(),
                .iov_len = std::min<std::uint64_t>(zeros ? DiskCore::kZeroStepBytes : data.size(), size_bytes - at)};
            BlockTransfer transfer(core_.volume,
                                   {.operation = zeros ? BlockOperation::kWriteZeroes : BlockOperation::kWrite,
                                    .offset_bytes = at,
                                    .length_bytes = buffer.iov_len,
                                    .buffers = std::span(&buffer, zeros ? 0 : 1),
                                    .may_unmap = true});
            status = co_await transfer;
            at += buffer.iov_len;
            done_bytes_ += buffer.iov_len;
            if (task != nullptr && task->link.abort_requested) core_.server.good(*std::exchange(task, nullptr));
            if (core_.background.stopping()) co_return status;
        }
    }
    if (status != BlockStatus::kOk) co_return status;
    BlockTransfer flush(core_.volume, {.operation = BlockOperation::kFlush});
    status = co_await flush;
    co_return status;
}

Step<BlockStatus> Maintenance::set_protection(const Filling& filling) {
    ProtectionStore& store = core_.protection->store();
    if (*filling.protection == store.type()) co_return BlockStatus::kOk;
    Step<BlockStatus> setting = store.set_type(*filling.protection);
    const BlockStatus status = co_await setting;
    core_.server.attentions().establish_for_others(filling.from ? &*filling.from : nullptr,
                                                   SenseCode::kCapacityDataHasChanged);
    co_return status;
}

/// (SBC-4 §5.25)
void Maintenance::start_stop(Task& task) {
    const Cdb& cdb = task.cdb;
    const bool start = cdb.bit(4, 0), load_eject = cdb.bit(4, 1);
    if (cdb[4] >> 4 != 0) return core_.server.good(task); // power conditions change nothing that can be seen
    if (operation_ != Operation::kNone) return core_.server.check(task, *readiness());
    if (!load_eject) {
        // A removable medium starts by itself when it is needed: such drives have no stopped condition to be seen.
        started_ = start || removable_;
        return core_.server.good(task);
    }
    if (!removable_) return core_.server.check(task, Sense::invalid_field_in_cdb(4, std::uint8_t{1}));
    if (removal_.prevented()) {
        return core_.server.check(task, Sense::illegal_request(SenseCode::kMediumRemovalPrevented));
    }
    if (start) {
        set_medium_present(true, &task.nexus->name);
        started_ = true;
        return core_.server.good(task);
    }
    set_medium_present(false, &task.nexus->name);
    core_.server.good(task);
}

/// There are no defects, in whatever format they are asked for. (SBC-4 §5.18, §5.19)
void Maintenance::read_defect_data(Task& task, bool twelve) {
    const std::uint8_t selection = twelve ? task.cdb[1] : task.cdb[2];
    ParameterData data;
    data.zeros(1).byte(selection & 0x1F).zeros(twelve ? 6 : 2);
    core_.server.reply(task, data.view(), twelve ? task.cdb.number(6, 4) : task.cdb.number(7, 2));
}

} // namespace touka::scsi
