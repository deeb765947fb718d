// PRPs and SGLs of anything: the input is a command's flags, pointers and length, and what memory looks like. What is
// mapped is exactly as long as was asked for, and in the guest's memory.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "devices/nvme/data_pointer.hpp"
#include "devices/nvme/submission_queue.hpp"
#include "memory/guest_memory.hpp"

using namespace touka;
using namespace touka::devices::nvme;

namespace {

constexpr std::uint64_t kRamBytes = 64 << 10;

struct Header {
    std::uint8_t flags;
    std::uint8_t page_shift;
    std::uint16_t reserved;
    std::uint32_t length;
    std::uint64_t prp1, prp2;
};
static_assert(sizeof(Header) == 24);

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const std::unique_ptr<memory::GuestMemory> ram = memory::GuestMemory::create(kRamBytes).value();
    Header header;
    if (size < sizeof header) return 0;
    std::memcpy(&header, data, sizeof header);
    std::memset(ram->base(), 0, kRamBytes);
    std::memcpy(ram->base(), data + sizeof header, std::min<std::size_t>(size - sizeof header, kRamBytes));

    memory::IdentityDmaSpace dma(*ram);
    std::array<iovec, SubmissionQueue::kSegmentLimit> room;
    SegmentList list(room);
    spec::nvme::SubmissionEntry command{};
    command.flags = header.flags;
    command.prp1 = header.prp1;
    command.prp2 = header.prp2;
    const std::uint64_t length = header.length % (512 << 10) + 1;
    memory::DmaHold hold;
    const DataMapping mapping{dma, memory::DmaAccess::kWrite, 4096u << (header.page_shift % 5), hold};
    if (map_data(mapping, command, length, true, list) != spec::nvme::Status::kSuccess) return 0;
    std::uint64_t sum = 0;
    for (const iovec& piece : list.pieces()) {
        const auto* const first = static_cast<std::byte*>(piece.iov_base);
        if (first < ram->base() || first + piece.iov_len > ram->base() + kRamBytes) std::abort();
        sum += piece.iov_len;
    }
    if (sum != length || list.bytes() != length) std::abort();
    return 0;
}
