// AtomicJournal: what is found in the file at the start.
#include <algorithm>

#include "scsi/disk/atomic_journal.hpp"
#include "scsi/disk/atomic_journal_layout.hpp"
#include "scsi/disk/crc.hpp"
#include "scsi/disk/job.hpp"
#include "spec/scsi/byte_order.hpp"

namespace touka::scsi {

using namespace atomic_journal_layout;
using spec::scsi::load_number;
using storage::BlockStatus;

namespace {

std::uint64_t limit_of(std::uint64_t target) {
    return target == AtomicJournal::kVolume ? AtomicJournal::kDataLimitBytes : AtomicJournal::kSideLimitBytes;
}

} // namespace

bool AtomicJournal::decode(const HeaderBytes& bytes, Header& header) const {
    const auto field = [&](std::size_t at) { return load_number(std::span(bytes).subspan(at, 8)); };
    if (field(0) != 0 && field(0) != kMagic) { // no journal at all: it is somebody's file
        header.foreign = true;
        return true;
    }
    if (field(kVersionAt) != kVersion) return false;
    if (field(kCheckAt) != Crc64::of(std::span(bytes).first(kCheckAt))) return false;
    header.count = field(kCountAt);
    header.data_check = field(kDataCheckAt);
    header.foreign = field(kIdentityAt) != identity_ || field(kSizeAt) != volume_.geometry().size_bytes;
    if (header.count == 0 || header.count > kTargetCount) header.foreign = true;
    if (header.foreign) return true;
    for (std::size_t i = 0; i < header.count; ++i) {
        const std::size_t at = kPlacesAt + i * kPlaceBytes;
        const Place place{field(at), field(at + 8), field(at + 16)};
        const storage::BlockDevice* const target = device(place.target);
        if (target == nullptr || place.length_bytes == 0 || place.length_bytes > limit_of(place.target) ||
            place.offset_bytes > target->geometry().size_bytes ||
            place.length_bytes > target->geometry().size_bytes - place.offset_bytes ||
            (i > 0 && place.target == header.places[0].target)) {
            header.foreign = true;
            return true;
        }
        header.places[i] = place;
    }
    return true;
}

Step<BlockStatus> AtomicJournal::recover_slot(std::size_t slot) {
    HeaderBytes bytes{};
    iovec buffer{.iov_base = bytes.data(), .iov_len = bytes.size()};
    BlockTransfer read(
        file_, {.offset_bytes = slot * kSlotBytes, .length_bytes = bytes.size(), .buffers = std::span(&buffer, 1)});
    BlockStatus status = co_await read;
    if (status != BlockStatus::kOk) co_return status;
    if (std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; })) co_return BlockStatus::kOk;

    Header header{};
    std::array<Piece, kTargetCount> pieces;
    std::vector<std::uint8_t> data;
    bool complete = decode(bytes, header);
    if (complete && header.foreign) {
        state_ = State::kForeign;
        co_return BlockStatus::kIoError;
    }
    if (complete) {
        std::uint64_t length = 0;
        for (std::size_t i = 0; i < header.count; ++i) length += padded(header.places[i].length_bytes);
        data.resize(length);
        buffer = {.iov_base = data.data(), .iov_len = data.size()};
        BlockTransfer read_data(file_, {.offset_bytes = slot * kSlotBytes + kHeaderBytes,
                                        .length_bytes = data.size(),
                                        .buffers = std::span(&buffer, 1)});
        status = co_await read_data;
        if (status != BlockStatus::kOk) co_return status;
        std::uint64_t check = 0, at = 0;
        for (std::size_t i = 0; i < header.count; ++i) {
            const Place& place = header.places[i];
            pieces[i] = {static_cast<Target>(place.target), place.offset_bytes,
                         std::span(data).subspan(at, place.length_bytes)};
            check = Crc64::of(pieces[i].data, check);
            at += padded(place.length_bytes);
        }
        complete = check == header.data_check;
    }
    ++(complete ? counters_.recovered : counters_.dropped);
    if (complete) {
        Step<BlockStatus> applying = apply(std::span(pieces).first(header.count));
        status = co_await applying;
        if (status != BlockStatus::kOk) co_return status;
    }
    Step<BlockStatus> clearing = clear(slot);
    status = co_await clearing;
    co_return status;
}

Step<AtomicJournal::State> AtomicJournal::recover() {
    // Holds may only be taken afterwards: every slot is free now.
    const std::size_t slots = free_slots_.size();
    for (std::size_t slot = 0; slot < slots && state_ == State::kRecovering; ++slot) {
        Step<BlockStatus> recovering = recover_slot(slot);
        const BlockStatus status = co_await recovering;
        if (status != BlockStatus::kOk && state_ == State::kRecovering) state_ = State::kFailed;
    }
    if (state_ == State::kRecovering) state_ = State::kReady;
    co_return state_;
}

} // namespace touka::scsi
