#include "scsi/iscsi/pdu_receiver.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace touka::scsi::iscsi {

using namespace spec::iscsi;

std::array<iovec, 2> PduReceiver::space() {
    if (first_ > 0) { // what is left is part of a header or trailer, or what a stop left
        std::memmove(buffer_.data(), buffer_.data() + first_, last_ - first_);
        last_ -= first_;
        first_ = 0;
    }
    const iovec rest{buffer_.data() + last_, buffer_.size() - last_};
    const bool direct = part_ == Part::kData && destination_ != nullptr && first_ == last_;
    direct_space_ = direct ? data_left_ : 0;
    if (!direct) return {rest, iovec{nullptr, 0}};
    return {iovec{destination_, data_left_}, rest};
}

StreamError PduReceiver::received(std::size_t bytes) {
    const std::size_t direct = std::min(bytes, direct_space_);
    if (direct > 0) add_data(direct);
    direct_space_ = 0;
    last_ += bytes - direct;
    assert(last_ <= buffer_.size());
    return parse();
}

StreamError PduReceiver::resume() {
    stopped_ = false;
    return parse();
}

StreamError PduReceiver::parse() {
    while (!stopped_) {
        switch (part_) {
            case Part::kHeader: {
                bool taken = false;
                const StreamError error = take_header(taken);
                if (error != StreamError::kNone) return error;
                if (!taken) return StreamError::kNone;
                break;
            }
            case Part::kData:
                take_data();
                if (data_left_ > 0) return StreamError::kNone;
                part_ = Part::kTrailer;
                break;
            case Part::kTrailer:
                if (!take_trailer()) return StreamError::kNone;
                break;
        }
    }
    return StreamError::kNone;
}

StreamError PduReceiver::take_header(bool& taken) {
    const auto bytes = unread();
    if (bytes.size() < kBasicHeaderBytes) return StreamError::kNone;
    std::copy_n(bytes.begin(), kBasicHeaderBytes, header_.bytes.begin());
    const std::size_t segments = kBasicHeaderBytes + header_.ahs_bytes();
    const std::size_t whole = segments + (header_digest_ ? kDigestBytes : 0);
    if (bytes.size() < whole) return StreamError::kNone;
    if (header_digest_ && load_digest(bytes.subspan(segments).first<4>()) != crc32c(bytes.first(segments))) {
        return StreamError::kHeaderDigest;
    }
    if (header_.data_bytes() > data_segment_limit_) return StreamError::kDataSegmentTooLong;
    first_ += whole;
    taken = true;
    data_left_ = header_.data_bytes();
    digest_ = {};
    destination_ = sink_.begin(header_, bytes.subspan(kBasicHeaderBytes, header_.ahs_bytes()));
    if (data_left_ > 0) {
        part_ = Part::kData;
    } else {
        sink_.end(header_, true);
    }
    return StreamError::kNone;
}

/// Moves what is in the buffer.
void PduReceiver::take_data() {
    const auto bytes = unread().first(std::min(last_ - first_, data_left_));
    if (destination_ != nullptr) {
        if (!bytes.empty()) std::memcpy(destination_, bytes.data(), bytes.size());
        add_data(bytes.size());
    } else {
        if (data_digest_) digest_.add(bytes);
        data_left_ -= bytes.size();
    }
    first_ += bytes.size();
}

/// Bytes came to the destination.
void PduReceiver::add_data(std::size_t bytes) {
    if (data_digest_) digest_.add({destination_, bytes});
    destination_ += bytes;
    data_left_ -= bytes;
}

bool PduReceiver::take_trailer() {
    const std::size_t padding = padding_bytes(header_.data_bytes());
    const std::size_t whole = padding + (data_digest_ ? kDigestBytes : 0);
    const auto bytes = unread();
    if (bytes.size() < whole) return false;
    bool intact = true;
    if (data_digest_) {
        digest_.add(bytes.first(padding));
        intact = load_digest(bytes.subspan(padding).first<4>()) == digest_.value();
    }
    first_ += whole;
    part_ = Part::kHeader;
    sink_.end(header_, intact);
    return true;
}

} // namespace touka::scsi::iscsi
