#include "scsi/disk/atomic_journal.hpp"

#include <algorithm>
#include <utility>

#include "scsi/disk/atomic_journal_layout.hpp"
#include "scsi/disk/crc.hpp"
#include "scsi/disk/job.hpp"
#include "spec/scsi/byte_order.hpp"

namespace touka::scsi {

using namespace atomic_journal_layout;
using spec::scsi::store_number;
using storage::BlockOperation;
using storage::BlockStatus;

namespace {

constexpr std::array<std::uint8_t, AtomicJournal::kAlignmentBytes> kPadding{};

iovec vector_of(std::span<const std::uint8_t> bytes) { // the request only reads; iovec has no const
    return {.iov_base = const_cast<std::uint8_t*>(bytes.data()), .iov_len = bytes.size()};
}

} // namespace

/// One slot while a write needs it.
class AtomicJournal::SlotHold {
public:
    explicit SlotHold(AtomicJournal& journal) : journal_(journal) {}
    ~SlotHold() {
        if (keep_) return;
        journal_.free_slots_.push_back(slot_);
        if (journal_.waiting_.empty()) return;
        SlotHold* const next = journal_.waiting_.front();
        journal_.waiting_.pop_front();
        next->take();
        next->waiter_.resume();
    }
    SlotHold(const SlotHold&) = delete;
    SlotHold& operator=(const SlotHold&) = delete;

    [[nodiscard]] bool await_ready() {
        if (journal_.free_slots_.empty()) return false;
        take();
        return true;
    }
    void await_suspend(std::coroutine_handle<> waiter) {
        waiter_ = waiter;
        journal_.waiting_.push_back(this);
    }
    [[nodiscard]] std::size_t await_resume() const { return slot_; }

private:
    void take() {
        slot_ = journal_.free_slots_.back();
        journal_.free_slots_.pop_back();
        keep_ = false;
    }

    AtomicJournal& journal_;
    std::coroutine_handle<> waiter_;
    std::size_t slot_ = 0;
    bool keep_ = true; // there is nothing to give back
};

AtomicJournal::AtomicJournal(storage::BlockDevice& file, storage::BlockDevice& volume, storage::BlockDevice* side,
                             std::uint64_t identity)
    : file_(file), volume_(volume), side_(side), identity_(identity) {
    const std::size_t slots = std::min<std::uint64_t>(file.geometry().size_bytes / kSlotBytes, kSlotLimit);
    for (std::size_t slot = slots; slot > 0; --slot) free_slots_.push_back(slot - 1);
}

bool AtomicJournal::suits(const storage::BlockGeometry& file) {
    return !file.read_only && file.size_bytes >= kSlotBytes && file.logical_block_bytes <= kAlignmentBytes;
}

storage::BlockDevice* AtomicJournal::device(std::uint64_t target) const {
    return target == kVolume ? &volume_ : target == kSide ? side_ : nullptr;
}

AtomicJournal::HeaderBytes AtomicJournal::encode(std::span<const Piece> pieces) const {
    HeaderBytes header{};
    const auto field = [&](std::size_t at, std::uint64_t value) {
        store_number(std::span(header).subspan(at, 8), value);
    };
    field(0, kMagic);
    field(kVersionAt, kVersion);
    field(kCountAt, pieces.size());
    field(kIdentityAt, identity_);
    field(kSizeAt, volume_.geometry().size_bytes);
    std::uint64_t check = 0;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        check = Crc64::of(pieces[i].data, check);
        const std::size_t at = kPlacesAt + i * kPlaceBytes;
        field(at, pieces[i].target);
        field(at + 8, pieces[i].offset_bytes);
        field(at + 16, pieces[i].data.size());
    }
    field(kDataCheckAt, check);
    field(kCheckAt, Crc64::of(std::span(header).first(kCheckAt)));
    return header;
}

/// Header and data in one request: a part of them alone has a wrong check.
Step<BlockStatus> AtomicJournal::store(std::size_t slot, std::span<const Piece> pieces) {
    const HeaderBytes header = encode(pieces);
    std::array<iovec, 1 + 2 * kTargetCount> buffers{vector_of(header)};
    std::size_t count = 1;
    std::uint64_t length = header.size();
    for (const Piece& piece : pieces) {
        buffers[count++] = vector_of(piece.data);
        const std::uint64_t padding = padded(piece.data.size()) - piece.data.size();
        if (padding > 0) buffers[count++] = vector_of(std::span(kPadding).first(padding));
        length += piece.data.size() + padding;
    }
    BlockTransfer transfer(file_, {.operation = BlockOperation::kWrite,
                                   .offset_bytes = slot * kSlotBytes,
                                   .length_bytes = length,
                                   .buffers = std::span(buffers).first(count),
                                   .force_unit_access = true});
    const BlockStatus status = co_await transfer;
    co_return status;
}

Step<BlockStatus> AtomicJournal::apply(std::span<const Piece> pieces) {
    BlockStatus worst = BlockStatus::kOk;
    for (const Piece& piece : pieces) {
        const iovec buffer = vector_of(piece.data);
        BlockTransfer transfer(*device(piece.target), {.operation = BlockOperation::kWrite,
                                                       .offset_bytes = piece.offset_bytes,
                                                       .length_bytes = piece.data.size(),
                                                       .buffers = std::span(&buffer, 1),
                                                       .force_unit_access = true});
        const BlockStatus status = co_await transfer;
        if (status != BlockStatus::kOk) worst = status;
    }
    co_return worst;
}

Step<BlockStatus> AtomicJournal::clear(std::size_t slot) {
    const iovec buffer = vector_of(kPadding);
    BlockTransfer transfer(file_, {.operation = BlockOperation::kWrite,
                                   .offset_bytes = slot * kSlotBytes,
                                   .length_bytes = buffer.iov_len,
                                   .buffers = std::span(&buffer, 1),
                                   .force_unit_access = true});
    const BlockStatus status = co_await transfer;
    co_return status;
}

Step<BlockStatus> AtomicJournal::write(std::array<Piece, kTargetCount> pieces, std::size_t count) {
    SlotHold hold(*this);
    const std::size_t slot = co_await hold;
    if (state_ != State::kReady) co_return BlockStatus::kIoError;
    ++counters_.writes;
    const auto news = std::span(pieces).first(count);

    // What is there now, to put it back when the place refuses in the middle (the host's file system is full).
    std::array<std::vector<std::uint8_t>, kTargetCount> before;
    std::array<Piece, kTargetCount> old = pieces;
    for (std::size_t i = 0; i < count; ++i) {
        before[i].resize(pieces[i].data.size());
        old[i].data = before[i];
        const iovec buffer{.iov_base = before[i].data(), .iov_len = before[i].size()};
        BlockTransfer read(*device(pieces[i].target), {.offset_bytes = pieces[i].offset_bytes,
                                                       .length_bytes = before[i].size(),
                                                       .buffers = std::span(&buffer, 1)});
        const BlockStatus status = co_await read;
        if (status != BlockStatus::kOk) co_return status;
    }

    Step<BlockStatus> storing = store(slot, news);
    BlockStatus status = co_await storing;
    if (status == BlockStatus::kOk) {
        Step<BlockStatus> applying = apply(news);
        status = co_await applying;
        if (status != BlockStatus::kOk) {
            Step<BlockStatus> restoring = apply(std::span(old).first(count));
            const BlockStatus restored = co_await restoring;
            if (restored != BlockStatus::kOk) { // the entry stays: the next start carries it out
                state_ = State::kFailed;
                co_return status;
            }
        }
    }
    Step<BlockStatus> clearing = clear(slot); // also after a failure to store: who knows how much of it is there
    const BlockStatus cleared = co_await clearing;
    if (cleared != BlockStatus::kOk) {
        state_ = State::kFailed;
        co_return cleared;
    }
    co_return status;
}

} // namespace touka::scsi
