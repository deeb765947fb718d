// A list of SCSI commands as a file says it, one block a command:
//
//   # what follows is a comment
//   name READ(10) of two blocks into a buffer of one
//   cdb 28 00 00 00 00 00 00 00 02 00
//   in 512                          the buffer for what comes, in bytes; or what is sent, one of
//   out pattern 512 0xA5            so many bytes of one value
//   out hex 00 00 00 18 ...         these bytes; several `out` lines follow one another
//   ignore bytes 12-19              what may differ between two ways to a unit: data bytes (also 12, 12-)
//   ignore data                     all of the data and their length
//   ignore target-ports             designators of target ports in VPD page 83h
//   ignore sense, ignore residual
//   ignore overrun                  that one way ends the command as failed when there is more data than the buffer
//                                   holds, as Linux' virtio SCSI driver does (virtio 1.2 §5.6.6.1.1:
//                                   VIRTIO_SCSI_S_OVERRUN)
//
// Absent: CDBs longer than 16 bytes, commands with data both ways.
#pragma once

#include <cstdint>
#include <expected>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace touka::scsi::verify {

/// Data bytes from `first` to `last`, counted from 0.
struct ByteRange {
    static constexpr std::uint32_t kToTheEnd = std::numeric_limits<std::uint32_t>::max();
    std::uint32_t first = 0, last = 0;
};

/// What of a response is not compared.
struct Ignored {
    std::vector<ByteRange> bytes{};
    bool data = false, target_ports = false, sense = false, residual = false, overrun = false;
};

struct Command {
    static constexpr std::size_t kCdbLimitBytes = 16;
    static constexpr std::uint32_t kDataLimitBytes = 16 << 20;

    std::string name{}; ///< unique in its corpus
    std::vector<std::uint8_t> cdb{};
    std::vector<std::uint8_t> out{};
    std::uint32_t in_bytes = 0; ///< 0 when something is sent
    Ignored ignored{};
};

struct Corpus {
    static constexpr std::size_t kCommandLimit = 10'000;
    static constexpr std::size_t kOutLimitBytes = 256u << 20; ///< of all commands together
    std::vector<Command> commands{};
};

/// @param file_name for what is returned when the text is wrong: "FILE:LINE: what".
[[nodiscard]] std::expected<Corpus, std::string> parse_corpus(std::string_view text, std::string_view file_name);

} // namespace touka::scsi::verify
