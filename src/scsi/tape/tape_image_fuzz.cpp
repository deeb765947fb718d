// A file that somebody says is a tape: it is refused or read, and whatever is then written is there at the next load.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "scsi/tape/memory_tape_file.hpp"
#include "scsi/tape/tape_image.hpp"
#include "spec/simh/magtape.hpp"

namespace {

using namespace touka;
using namespace touka::scsi;

void require(bool condition) {
    if (!condition) std::abort();
}

void read_all(TapeImage& image) {
    std::array<std::uint8_t, 64> data{};
    const iovec vector{data.data(), data.size()};
    for (std::uint64_t number = 0; number < image.index().count(); ++number) {
        const TapeObject object = image.index().object(number);
        if (object.control_word == spec::simh::kTapeMark) {
            require(image.index().filemark(image.index().filemarks_before(number)) == number);
        } else {
            require(image.read(number, std::span(&vector, 1)).has_value());
        }
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    auto contents = std::make_shared<MemoryTapeFile::Contents>();
    contents->bytes.assign(data + 1, data + size);
    auto image = TapeImage::load(std::make_unique<MemoryTapeFile>(contents));
    if (!image) return 0;
    read_all(*image);
    const std::uint64_t keep = image->index().count() * (data[0] & 0x0F) / 15;
    require(image->cut(keep).has_value());
    std::array<std::uint8_t, 255> block{};
    const iovec vector{block.data(), block.size()};
    const std::uint32_t length = data[0] >> 4 | 1u;
    require(image->append_blocks(length, 3, std::span(&vector, 1)).count == 3);
    require(image->append_filemarks(data[0]).count == data[0]);
    require(image->synchronize().has_value());
    auto again = TapeImage::load(std::make_unique<MemoryTapeFile>(contents));
    require(again.has_value() && again->torn_bytes() == 0);
    require(again->index().count() == keep + 3 + data[0]);
    read_all(*again);
    return 0;
}
