// READ, VERIFY, WRITE, WRITE FILEMARKS, ERASE of a tape drive: the CDBs and the buffers; the rules are Tape's.
#include <algorithm>

#include "scsi/tape/tape_unit.hpp"
#include "spec/scsi/operation.hpp"
#include "spec/scsi/sequential_access.hpp"

namespace touka::scsi {

using namespace spec::scsi;

void TapeUnit::add_transfers() {
    using namespace operation;
    const auto add = [this](std::vector<std::uint8_t> usage, ReservationClass (*rule)(const Cdb&),
                            std::function<void(Task&)> execute) {
        server_.add({.usage = usage, .reservation = rule, .execute = std::move(execute)});
    };
    add({kTapeRead6, 0x03, 0xFF, 0xFF, 0xFF, 0}, reads_only, [this](Task& task) { read(task); });
    add({kTapeVerify6, 0x05, 0xFF, 0xFF, 0xFF, 0}, reads_only, [this](Task& task) { verify(task); });
    add({kTapeWrite6, 0x01, 0xFF, 0xFF, 0xFF, 0}, changes_unit, [this](Task& task) { write(task); });
    add({kWriteFilemarks6, 0x01, 0xFF, 0xFF, 0xFF, 0}, changes_unit,
        [this](Task& task) { write_filemarks(task, task.cdb.number(2, 3)); });
    add({kWriteFilemarks16, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0}, changes_unit,
        [this](Task& task) { write_filemarks(task, task.cdb.number(12, 3)); });
    add({kErase6, 0x03, 0, 0, 0, 0}, changes_unit, [this](Task& task) { erase(task); });
    add({kErase16, 0x03, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, changes_unit, [this](Task& task) { erase(task); });
}

/// FIXED wants a block length and forbids SILI. (SSC-5, READ(6))
std::optional<Sense> TapeUnit::check_transfer(const Task& task) const {
    const bool fixed = task.cdb.bit(1, 0);
    const bool suppress = task.cdb.operation_code() == operation::kTapeRead6 && task.cdb.bit(1, 1);
    if (fixed && suppress) return Sense::invalid_field_in_cdb(1, std::uint8_t{1});
    if (fixed && modes_.block_length_bytes() == 0) return Sense::invalid_field_in_cdb(1, std::uint8_t{0});
    return std::nullopt;
}

TapeTransfer TapeUnit::transfer_of(const Task& task) const {
    return {.fixed = task.cdb.bit(1, 0),
            .length = static_cast<std::uint32_t>(task.cdb.number(2, 3)),
            .block_length_bytes = modes_.block_length_bytes(),
            .suppress_incorrect_length = task.cdb.bit(1, 1)};
}

std::optional<Sense> TapeUnit::write_refusal() const {
    if (write_protected_) return Sense::of(SenseKey::kDataProtect, SenseCode::kWriteProtected);
    if (modes_.software_write_protect()) {
        return Sense::of(SenseKey::kDataProtect, SenseCode::kLogicalUnitSoftwareWriteProtected);
    }
    return std::nullopt;
}

void TapeUnit::read(Task& task) {
    if (const auto wrong = check_transfer(task)) return server_.check(task, *wrong);
    const TapeTransfer transfer = transfer_of(task);
    const std::uint64_t wanted =
        transfer.fixed ? std::uint64_t{transfer.length} * transfer.block_length_bytes : transfer.length;
    const std::uint64_t room = std::min(wanted, task.data_in_limit_bytes);
    std::span<const iovec> memory;
    if (room > 0) {
        memory = task.data_in(room);
        if (memory.empty()) return server_.finish(task, Status::kBusy);
    }
    on_tape([transfer, memory](Tape& tape) { return tape.read(transfer, memory); },
            [this, &task, room](const TapeOutcome& outcome) {
                task.transfer_bytes = outcome.bytes;
                task.data_in_bytes = std::min(outcome.bytes, room);
                log_.count_read(outcome.bytes);
                end(task, outcome);
            });
}

void TapeUnit::verify(Task& task) {
    if (const auto wrong = check_transfer(task)) return server_.check(task, *wrong);
    TapeTransfer transfer = transfer_of(task);
    transfer.suppress_incorrect_length = false; // the bit is another one here
    run(task, [transfer](Tape& tape) { return tape.verify(transfer); });
}

void TapeUnit::write(Task& task) {
    if (const auto wrong = check_transfer(task)) return server_.check(task, *wrong);
    const TapeTransfer transfer = transfer_of(task);
    task.transfer_bytes =
        transfer.fixed ? std::uint64_t{transfer.length} * transfer.block_length_bytes : transfer.length;
    if (transfer.length == 0) return server_.good(task);
    if (const auto refusal = write_refusal()) return end(task, {.sense = refusal});
    // No part of a block that is shorter than announced goes to the tape.
    if (task.data_out_bytes < task.transfer_bytes) return server_.check(task, Sense::invalid_field_in_cdb(2));
    const bool synchronize = !modes_.buffered();
    const auto data = task.data_out;
    on_tape([transfer, data, synchronize](Tape& tape) { return tape.write(transfer, data, synchronize); },
            [this, &task](const TapeOutcome& outcome) {
                log_.count_written(outcome.bytes);
                end(task, outcome);
            });
}

void TapeUnit::write_filemarks(Task& task, std::uint64_t count) {
    const bool immediate = task.cdb.bit(1, 0);
    if (immediate && !modes_.buffered()) return server_.check(task, Sense::invalid_field_in_cdb(1, std::uint8_t{0}));
    if (count > 0) {
        if (const auto refusal = write_refusal()) return end(task, {.sense = refusal});
    }
    run(task, [count, immediate](Tape& tape) { return tape.write_filemarks(count, !immediate); });
}

/// Long and short are the same: what is behind the end of data cannot be read either way.
void TapeUnit::erase(Task& task) {
    if (const auto refusal = write_refusal()) return end(task, {.sense = refusal});
    run(task, [](Tape& tape) { return tape.erase(); });
}

} // namespace touka::scsi
