// REWIND, SPACE, LOCATE and READ POSITION of a tape drive. (SSC-5 §6)
#include <limits>

#include "scsi/parameter_data.hpp"
#include "scsi/tape/tape_unit.hpp"
#include "spec/scsi/operation.hpp"
#include "spec/scsi/sequential_access.hpp"

namespace touka::scsi {

using namespace spec::scsi;

namespace {

TapeOutcome space_of(Tape& tape, std::uint8_t code, std::int64_t count) {
    switch (code) {
        case space_code::kBlocks: return tape.space_blocks(count);
        case space_code::kFilemarks: return tape.space_filemarks(count);
        default: tape.space_to_end_of_data(); return {};
    }
}

std::uint8_t position_bits(const TapePosition& at) {
    return static_cast<std::uint8_t>((at.object == 0 ? position::BOP : 0) |
                                     (at.past_early_warning ? position::EOP : 0));
}

/// Nothing is ever in a buffer: the first and the last location are the same. (SSC-5, short form)
std::vector<std::uint8_t> short_position(const TapePosition& at) {
    const bool fits = at.object <= std::numeric_limits<std::uint32_t>::max();
    ParameterData data;
    data.byte(position_bits(at) | (fits ? 0 : position::PERR)).byte(0).zeros(2);
    data.number(fits ? at.object : 0, 4).number(fits ? at.object : 0, 4).zeros(8);
    return data.take();
}

/// (SSC-5, long form)
std::vector<std::uint8_t> long_position(const TapePosition& at) {
    ParameterData data;
    data.byte(position_bits(at)).zeros(3).number(0, 4).number(at.object, 8).number(at.file, 8).zeros(8);
    return data.take();
}

} // namespace

void TapeUnit::add_positioning() {
    using namespace operation;
    const auto add = [this](std::vector<std::uint8_t> usage, std::function<void(Task&)> execute) {
        server_.add({.usage = usage, .reservation = reads_only, .execute = std::move(execute)});
    };
    add({kRewind, 0x01, 0, 0, 0, 0}, [this](Task& task) {
        run(task, [](Tape& tape) {
            tape.rewind();
            return TapeOutcome{};
        });
    });
    add({kSpace6, 0x0F, 0xFF, 0xFF, 0xFF, 0}, [this](Task& task) {
        const auto count = static_cast<std::int64_t>(task.cdb.number(2, 3) << 40) >> 40; // 24 bits with a sign
        space(task, task.cdb[1], count);
    });
    add({kSpace16, 0x0F, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0},
        [this](Task& task) { space(task, task.cdb[1], static_cast<std::int64_t>(task.cdb.number(4, 8))); });
    add({kLocate10, 0x07, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0xFF, 0}, [this](Task& task) { locate10(task); });
    add({kLocate16, 0x3B, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0},
        [this](Task& task) { locate16(task); });
    add({kReadPosition, 0x1F, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0}, [this](Task& task) { read_position(task); });
}

void TapeUnit::space(Task& task, std::uint8_t code, std::int64_t count) {
    if (code != space_code::kBlocks && code != space_code::kFilemarks && code != space_code::kEndOfData) {
        return server_.check(task, Sense::invalid_field_in_cdb(1, std::uint8_t{3}));
    }
    run(task, [code, count](Tape& tape) { return space_of(tape, code, count); });
}

/// BT asks for a vendor's own numbers, which Linux does by default; ours are those of objects. (SSC-5, LOCATE(10))
void TapeUnit::locate10(Task& task) {
    const bool change_partition = task.cdb.bit(1, 1);
    if (change_partition && task.cdb[8] != 0) return server_.check(task, Sense::invalid_field_in_cdb(8));
    run(task, [object = task.cdb.number(3, 4)](Tape& tape) { return tape.locate(object); });
}

void TapeUnit::locate16(Task& task) {
    const bool change_partition = task.cdb.bit(1, 1);
    if (change_partition && task.cdb[3] != 0) return server_.check(task, Sense::invalid_field_in_cdb(3));
    const auto type = static_cast<std::uint8_t>(task.cdb[1] >> 3 & 0x7);
    const std::uint64_t number = task.cdb.number(4, 8);
    switch (type) {
        case locate_type::kObject: return run(task, [number](Tape& tape) { return tape.locate(number); });
        case locate_type::kFile: return run(task, [number](Tape& tape) { return tape.locate_file(number); });
        case locate_type::kEndOfData:
            return run(task, [](Tape& tape) {
                tape.space_to_end_of_data();
                return TapeOutcome{};
            });
        default: return server_.check(task, Sense::invalid_field_in_cdb(1, std::uint8_t{5}));
    }
}

/// The allocation length is the extended form's; the others have one length each. (SSC-5, READ POSITION)
void TapeUnit::read_position(Task& task) {
    const auto form = static_cast<std::uint8_t>(task.cdb[1] & 0x1F);
    const bool brief = form == position_form::kShort || form == position_form::kShortVendorSpecific;
    if (!brief && form != position_form::kLong)
        return server_.check(task, Sense::invalid_field_in_cdb(1, std::uint8_t{4}));
    auto at = std::make_shared<TapePosition>();
    on_tape(
        [at](Tape& tape) {
            *at = tape.position();
            return TapeOutcome{};
        },
        [this, &task, at, brief](const TapeOutcome& outcome) {
            if (outcome.sense) return end(task, outcome);
            const auto data = brief ? short_position(*at) : long_position(*at);
            server_.reply(task, data, data.size());
        });
}

} // namespace touka::scsi
