// Bytes of a connection become PDUs; no sockets here.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "scsi/iscsi/crc32c.hpp"
#include "scsi/iscsi/pdu.hpp"

namespace touka::scsi::iscsi {

/// Who gets PDUs. Between `begin` and `end` of one PDU there is no other.
class PduSink {
public:
    virtual ~PduSink() = default;
    /// The header segments are here and intact. @param ahs valid during the call.
    /// @return memory for header.data_bytes() bytes, valid until `end`; null: the data are dropped.
    [[nodiscard]] virtual std::uint8_t* begin(const BasicHeader& header, std::span<const std::uint8_t> ahs) = 0;
    /// All of it is here. @param intact false when the data digest does not match.
    virtual void end(const BasicHeader& header, bool intact) = 0;
};

/// Why a byte stream cannot be read on; the connection has to go.
enum class StreamError : std::uint8_t { kNone, kHeaderDigest, kDataSegmentTooLong };

/// Finds PDUs in a byte stream. Data segments that are not here yet are received where they belong, without a copy.
class PduReceiver {
public:
    static constexpr std::size_t kBufferBytes = 64 * 1024;

    explicit PduReceiver(PduSink& sink) : sink_(sink), buffer_(kBufferBytes) {}

    /// Where the next bytes go, in this order; never empty in all.
    [[nodiscard]] std::array<iovec, 2> space();
    /// That many bytes were put there: calls the sink for every PDU that they complete.
    /// The sink may call `stop`, then the rest stays unread.
    [[nodiscard]] StreamError received(std::size_t bytes);
    /// Takes up bytes that `stop` left.
    [[nodiscard]] StreamError resume();
    void stop() { stopped_ = true; }

    /// From the next PDU on. (RFC 7143 §13.1)
    void set_digests(bool header, bool data) { header_digest_ = header, data_digest_ = data; }
    /// MaxRecvDataSegmentLength as it was declared.
    void set_data_segment_limit(std::uint32_t bytes) { data_segment_limit_ = bytes; }

private:
    enum class Part : std::uint8_t { kHeader, kData, kTrailer };

    [[nodiscard]] StreamError parse();
    [[nodiscard]] StreamError take_header(bool& taken);
    void take_data();
    void add_data(std::size_t bytes);
    [[nodiscard]] bool take_trailer();
    [[nodiscard]] std::span<std::uint8_t> unread() { return std::span(buffer_).subspan(first_, last_ - first_); }

    PduSink& sink_;
    std::vector<std::uint8_t> buffer_;
    std::size_t first_ = 0, last_ = 0; // unread bytes of buffer_
    Part part_ = Part::kHeader;
    BasicHeader header_;
    std::uint8_t* destination_ = nullptr; // of the rest of the data segment
    std::size_t data_left_ = 0;
    std::size_t direct_space_ = 0; // bytes of the last space() that were not in buffer_
    Crc32c digest_;
    bool header_digest_ = false, data_digest_ = false;
    bool stopped_ = false;
    std::uint32_t data_segment_limit_ = 8192;
};

} // namespace touka::scsi::iscsi
