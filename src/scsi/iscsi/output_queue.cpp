#include "scsi/iscsi/output_queue.hpp"

#include <algorithm>
#include <utility>

#include "scsi/iscsi/crc32c.hpp"

namespace touka::scsi::iscsi {

using namespace spec::iscsi;

OutputQueue::Entry& OutputQueue::add() {
    if (count_ == ring_.size()) {
        std::vector<Entry> larger(ring_.size() * 2);
        for (std::size_t i = 0; i < count_; ++i) larger[i] = std::move(at(i));
        ring_ = std::move(larger);
        first_ = 0;
    }
    return at(count_++);
}

void OutputQueue::push(BasicHeader header, std::span<const std::uint8_t> data, OutputOwner* owner) {
    Entry& entry = add();
    header.set(kDataSegmentLength, data.size());
    std::ranges::copy(header.bytes, entry.header.begin());
    entry.header_bytes = kBasicHeaderBytes;
    if (header_digest_) {
        store_digest(std::span(entry.header).last<4>(), crc32c(header.bytes));
        entry.header_bytes += kDigestBytes;
    }
    entry.data = data;
    entry.owner = owner;
    entry.trailer = {};
    const std::size_t padding = padding_bytes(data.size());
    entry.trailer_bytes = static_cast<std::uint8_t>(padding);
    if (data_digest_ && !data.empty()) {
        Crc32c digest;
        digest.add(data);
        digest.add(std::span(entry.trailer).first(padding));
        store_digest(std::span(entry.trailer).subspan(padding).first<4>(), digest.value());
        entry.trailer_bytes = static_cast<std::uint8_t>(padding + kDigestBytes);
    }
}

void OutputQueue::push_owned(BasicHeader header, std::vector<std::uint8_t> data) {
    push(header, data);
    owned_bytes_ += data.size();
    at(count_ - 1).owned = std::move(data); // its memory moves along
}

std::size_t OutputQueue::gather(std::span<iovec> pieces) {
    std::size_t used = 0;
    std::size_t skip = sent_bytes_;
    const auto add = [&](const std::uint8_t* bytes, std::size_t length) {
        const std::size_t skipped = std::min(skip, length);
        skip -= skipped;
        // The kernel takes iovecs as not const, and only reads through them.
        if (length > skipped) pieces[used++] = {const_cast<std::uint8_t*>(bytes) + skipped, length - skipped};
    };
    for (std::size_t i = 0; i < count_ && pieces.size() - used >= 3; ++i) {
        const Entry& entry = at(i);
        add(entry.header.data(), entry.header_bytes);
        add(entry.data.data(), entry.data.size());
        add(entry.trailer.data(), entry.trailer_bytes);
    }
    return used;
}

void OutputQueue::sent(std::size_t bytes) {
    sent_bytes_ += bytes;
    while (count_ > 0 && sent_bytes_ >= at(0).bytes()) {
        Entry& entry = at(0);
        sent_bytes_ -= entry.bytes();
        OutputOwner* const owner = std::exchange(entry.owner, nullptr);
        owned_bytes_ -= entry.owned.size();
        entry.owned = {};
        first_ = (first_ + 1) & (ring_.size() - 1);
        --count_;
        if (owner != nullptr) owner->output_done();
    }
}

void OutputQueue::clear() {
    sent_bytes_ = 0;
    while (count_ > 0) sent(at(0).bytes());
}

} // namespace touka::scsi::iscsi
