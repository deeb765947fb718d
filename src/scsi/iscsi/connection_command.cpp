// SCSI Command PDUs. (RFC 7143 §11.3)
#include <algorithm>
#include <expected>

#include "scsi/iscsi/connection.hpp"
#include "scsi/iscsi/network_entity.hpp"

namespace touka::scsi::iscsi {

using namespace spec::iscsi;

namespace {

TaskAttribute attribute_of(std::uint8_t flags) {
    switch (Attribute(flags & kAttributeMask)) {
        case Attribute::kOrdered: return TaskAttribute::kOrdered;
        case Attribute::kHeadOfQueue: return TaskAttribute::kHeadOfQueue;
        case Attribute::kAca: return TaskAttribute::kAca;
        default: return TaskAttribute::kSimple;
    }
}

/// The CDB, with what an additional header segment adds to it. (RFC 7143 §11.2.2)
std::expected<Cdb, RejectReason> cdb_of(const BasicHeader& header, std::span<const std::uint8_t> ahs) {
    const auto first = std::span(header.bytes).subspan<kCdb.offset, kCdb.bytes>();
    if (ahs.empty()) return Cdb(first);
    std::array<std::uint8_t, Cdb::kLimitBytes> cdb{};
    std::ranges::copy(first, cdb.begin());
    std::size_t cdb_bytes = first.size();
    while (!ahs.empty()) { // whole words, and never less than one
        const auto length = static_cast<std::size_t>(spec::scsi::load_number(ahs.first(2)));
        const auto type = AhsType(ahs[2] & 0x3F);
        const std::size_t whole = (3 + length + 3) / 4 * 4;
        if (length == 0 || whole > ahs.size()) return std::unexpected(RejectReason::kInvalidPduField);
        const auto content = ahs.subspan(4, length - 1);
        if (type == AhsType::kBidirectionalReadLength) return std::unexpected(RejectReason::kCommandNotSupported);
        if (type == AhsType::kExtendedCdb) {
            if (cdb_bytes != first.size() || content.size() > cdb.size() - first.size()) {
                return std::unexpected(RejectReason::kInvalidPduField);
            }
            std::ranges::copy(content, cdb.begin() + first.size());
            cdb_bytes += content.size();
        }
        ahs = ahs.subspan(whole);
    }
    return Cdb(std::span(cdb).first(cdb_bytes));
}

} // namespace

std::uint8_t* Connection::begin_command(const BasicHeader& header, std::span<const std::uint8_t> ahs) {
    ignore_incoming_ = true;
    if (!accept_number(header)) return nullptr;
    const auto refuse_with = [&](RejectReason reason) {
        reject(header, reason);
        return nullptr;
    };
    const bool reads = header.has(kReadFlag);
    const bool writes = header.has(kWriteFlag);
    // Discovery sessions have no commands; bidirectional ones are not supported.
    if (nexus_ == nullptr || (reads && writes)) return refuse_with(RejectReason::kCommandNotSupported);
    if (header.task_tag() == kReservedTag) return refuse_with(RejectReason::kInvalidPduField);
    if (!writes && (!header.has(kFinal) || header.data_bytes() > 0)) {
        return refuse_with(RejectReason::kInvalidPduField);
    }
    if (tasks_.find(header.task_tag()) != nullptr) return refuse_with(RejectReason::kTaskInProgress);
    if (header.immediate() && immediate_tasks_ >= entity_.options().immediate_commands) {
        return refuse_with(RejectReason::kTooManyImmediateCommands);
    }
    const auto cdb = cdb_of(header, ahs);
    if (!cdb) return refuse_with(cdb.error());

    IscsiTask& task = entity_.tasks().take();
    task.reset(*this);
    task.nexus = nexus_;
    task.lun = Lun{header.get(kLun)};
    task.tag = header.task_tag();
    task.attribute = attribute_of(header.flags());
    task.cdb = *cdb;
    task.expected_bytes = header.get32(kExpectedDataTransferLength);
    task.reads = reads;
    task.writes = writes;
    task.immediate = header.immediate();
    if (task.immediate) {
        ++immediate_tasks_;
    } else {
        window_.occupy();
    }
    ++info_.counters.commands;
    tasks_.add(task);
    incoming_ = &task;
    ignore_incoming_ = false;
    return writes ? begin_immediate_data(header, task) : nullptr;
}

std::uint8_t* Connection::begin_immediate_data(const BasicHeader& header, IscsiTask& task) {
    const SessionParameters& parameters = info_.parameters;
    const std::uint32_t bytes = header.data_bytes();
    task.wanted_bytes = std::min<std::uint32_t>(task.expected_bytes, BufferPool::kLargestBytes);
    task.unsolicited_open = !header.has(kFinal);
    const bool unexpected = (bytes > 0 && !parameters.immediate_data) ||
                            (task.unsolicited_open && parameters.initial_r2t) ||
                            bytes > std::min(task.expected_bytes, parameters.first_burst_length);
    if (unexpected) {
        fail(task, SenseCode::kWriteErrorUnexpectedUnsolicitedData);
    } else if (task.wanted_bytes > 0 && !take_buffer(task, task.wanted_bytes)) {
        refuse(task, memory_bytes_ > 0 ? Status::kTaskSetFull : Status::kBusy);
    }
    return task.refused ? nullptr : task.buffer.data();
}

void Connection::end_command(const BasicHeader& header, bool intact) {
    if (ignore_incoming_ || incoming_ == nullptr) return;
    IscsiTask& task = *incoming_;
    incoming_ = nullptr;
    if (!task.writes) return submit(task);
    if (!intact) {
        reject(header, RejectReason::kDataDigestError);
        fail(task, SenseCode::kProtocolServiceCrcError);
    } else if (!task.refused) {
        task.arrived_bytes = header.data_bytes();
    }
    proceed(task);
}

void Connection::submit(IscsiTask& task) {
    task.with_unit = true;
    if (task.wanted_bytes > 0) {
        task.piece = {task.buffer.data(), task.wanted_bytes};
        task.data_out = {&task.piece, 1};
        task.data_out_bytes = task.wanted_bytes;
        info_.counters.data_out_bytes += task.wanted_bytes;
    }
    if (task.reads) {
        task.data_in_limit_bytes = std::min<std::uint64_t>(task.expected_bytes, BufferPool::kLargestBytes);
    }
    submitted_ = true;
    node_->target->submit(task);
}

} // namespace touka::scsi::iscsi
