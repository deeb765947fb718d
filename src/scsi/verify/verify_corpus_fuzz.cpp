// Any file given as a corpus: taken or refused, and what is taken is what its limits allow.
#include <cstdlib>

#include "scsi/verify/corpus.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace touka::scsi::verify;
    const auto corpus = parse_corpus({reinterpret_cast<const char*>(data), size}, "fuzz");
    if (!corpus) return 0;
    if (corpus->commands.empty()) std::abort();
    for (const Command& command : corpus->commands) {
        if (command.name.empty() || command.cdb.empty() || command.cdb.size() > Command::kCdbLimitBytes) std::abort();
        if (!command.out.empty() && command.in_bytes > 0) std::abort();
        for (const ByteRange& range : command.ignored.bytes) {
            if (range.last < range.first) std::abort();
        }
    }
    return 0;
}
