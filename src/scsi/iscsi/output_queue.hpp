// PDUs on their way out; no sockets here.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "scsi/iscsi/pdu.hpp"

namespace touka::scsi::iscsi {

/// Owns memory that a queued PDU refers to.
class OutputOwner {
public:
    /// The last PDU that referred to it has been sent, or will never be.
    virtual void output_done() = 0;

protected:
    ~OutputOwner() = default;
};

/// A queue of PDUs. No allocation once it has been as long as it gets, but for data that it owns.
class OutputQueue {
public:
    OutputQueue() : ring_(16) {}
    OutputQueue(const OutputQueue&) = delete;
    OutputQueue& operator=(const OutputQueue&) = delete;
    ~OutputQueue() { clear(); }

    /// From the next PDU on.
    void set_digests(bool header, bool data) { header_digest_ = header, data_digest_ = data; }
    /// @param data valid until the owner's output_done, or for ever. @param owner null: nobody.
    void push(BasicHeader header, std::span<const std::uint8_t> data = {}, OutputOwner* owner = nullptr);
    /// Data that the queue keeps.
    void push_owned(BasicHeader header, std::vector<std::uint8_t> data);

    [[nodiscard]] bool empty() const { return count_ == 0; }
    [[nodiscard]] std::size_t size() const { return count_; }
    /// Memory of data that the queue keeps.
    [[nodiscard]] std::size_t owned_bytes() const { return owned_bytes_; }
    /// Fills in what to send next. @return how many of `pieces` are used.
    [[nodiscard]] std::size_t gather(std::span<iovec> pieces);
    /// That many of the gathered bytes are sent.
    void sent(std::size_t bytes);
    /// Drops everything.
    void clear();

private:
    struct Entry {
        std::array<std::uint8_t, spec::iscsi::kBasicHeaderBytes + spec::iscsi::kDigestBytes> header;
        std::array<std::uint8_t, 4 + spec::iscsi::kDigestBytes> trailer;
        std::uint8_t header_bytes, trailer_bytes;
        std::span<const std::uint8_t> data;
        OutputOwner* owner;
        std::vector<std::uint8_t> owned;
        [[nodiscard]] std::size_t bytes() const { return header_bytes + data.size() + trailer_bytes; }
    };
    [[nodiscard]] Entry& at(std::size_t index) { return ring_[(first_ + index) & (ring_.size() - 1)]; }
    Entry& add();

    std::vector<Entry> ring_; // a power of two of them
    std::size_t first_ = 0, count_ = 0;
    std::size_t sent_bytes_ = 0; // of the first
    std::size_t owned_bytes_ = 0;
    bool header_digest_ = false, data_digest_ = false;
};

} // namespace touka::scsi::iscsi
